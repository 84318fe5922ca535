"""The wheel must hold every package and every file that the code reads; they are listed by hand in pyproject.toml."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = SETTINGS["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}


def tracked(folder: Path) -> list[Path]:
    if not (ROOT / ".git").exists():  # a source distribution holds only what was tracked
        return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_every_package_is_listed():
    packages = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in FOLDERS.items()
        for path in tracked(folder)
        if path.name == "__init__.py"
    }
    assert packages == set(SETUPTOOLS["packages"])


def test_every_file_that_is_no_module_is_package_data():
    missing = []
    for name, folder in FOLDERS.items():
        patterns = SETUPTOOLS["package-data"].get(name, [])
        packed = {path for pattern in patterns for path in folder.glob(pattern)}
        missing += [path for path in tracked(folder) if path.suffix != ".py" and path not in packed]
    assert not missing


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_every_library_that_is_imported_is_declared():
    project = SETTINGS["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + extras["lightning"] + extras["ray"] + extras["remote"]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    paths = [path for folder in FOLDERS.values() for path in tracked(folder) if path.suffix == ".py"]
    # The scripts in sample_data import one another by their bare names.
    ours = {*FOLDERS, *(path.stem for path in FOLDERS["oga_sample_data"].glob("*.py"))}
    distributions = packages_distributions()
    undeclared = {
        name
        for path in paths
        for name in {*imported(path)} - sys.stdlib_module_names - ours
        if declared.isdisjoint(distribution.lower() for distribution in distributions.get(name, [name]))
    }
    assert undeclared == set()
