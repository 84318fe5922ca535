"""The wheel must hold every package and every file that the code reads; they are listed by hand in pyproject.toml."""

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}


def tracked(folder: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_every_package_is_listed():
    found = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in FOLDERS.items()
        for path in tracked(folder)
        if path.name == "__init__.py"
    }
    assert found == set(SETUPTOOLS["packages"])


def test_every_file_that_is_no_module_is_package_data():
    missing = []
    for name, folder in FOLDERS.items():
        patterns = SETUPTOOLS["package-data"].get(name, [])
        packed = {path for pattern in patterns for path in folder.glob(pattern)}
        missing += [path for path in tracked(folder) if path.suffix != ".py" and path not in packed]
    assert not missing
