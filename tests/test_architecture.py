"""The tree stays one that can be read: short chains of imports, small folders, files and functions."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from imports import import_graph, longest_chain

ROOT = Path(__file__).parents[1]
CORE = ROOT / "oga_core"
SOURCE = ("oga_core", "app")

TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "app", "oga_core", "tests", "sample_data"}
MAX_CHAIN = 8
MAX_LOOSE_FILES = {"oga_core": 8, "app": 6}
MAX_FOLDER = 15
MAX_LINES = 300
MAX_FUNCTION_LINES = 20  # of nine functions in ten
MIN_TEST_SHARE = 0.7
NO_NOUNS = {"found", "kept", "told", "said", "chosen"}  # what is found? A variable says that by a noun
MAX_NO_NOUNS = 2.0  # of 1,000 lines; it was 11, and equinox, bergson, scikit-learn and Opacus have 0 to 0.4

MAX_PACKED = 1.0  # assignments `a, b = x, y` of 1,000 lines; it was 12, and the same libraries have 0.1 to 1


def code(folder: str, *suffixes: str) -> Iterator[Path]:
    """Yield the source files below `folder`, without what package managers put there."""
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in suffixes and "node_modules" not in path.parts:
            yield path


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def function_lengths(folder: str) -> Iterator[int]:
    for path in code(folder, ".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1


def names_given(folder: str) -> Iterator[str]:
    """Yield every name that a variable, an attribute or an argument gets."""
    for path in code(folder, ".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                yield node.arg
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.id if isinstance(node, ast.Name) else node.attr


def test_the_top_level_holds_what_belongs_there():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    entries = {path.split("/")[0] for path in listed.stdout.splitlines()}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL


def test_imports_of_the_core_have_no_circle():
    TopologicalSorter(import_graph(CORE, types=True)).prepare()


def test_chains_of_imports_are_short():
    chain = longest_chain(import_graph(CORE, types=False))
    assert len(chain) <= MAX_CHAIN, " → ".join(chain)


@pytest.mark.parametrize("folder", MAX_LOOSE_FILES)
def test_loose_files_are_few(folder):
    loose = {path.name for path in (ROOT / folder).glob("*.py")} - ({"__init__.py"} if folder == "app" else set())
    assert len(loose) <= MAX_LOOSE_FILES[folder], sorted(loose)


@pytest.mark.parametrize("folder", [*SOURCE, "tests", "sample_data"])
def test_a_folder_holds_one_idea(folder):
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in code(folder, ".py", ".js", ".css"))
    assert {name: size for name, size in sizes.items() if size > MAX_FOLDER} == {}


@pytest.mark.parametrize("folder", ["oga_core", "app", "tests", "sample_data"])
def test_files_are_short(folder):
    sizes = {path.relative_to(ROOT).as_posix(): lines(path) for path in code(folder, ".py", ".js")}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


@pytest.mark.parametrize("folder", [*SOURCE, "tests"])
def test_functions_are_short(folder):
    assert np.percentile(list(function_lengths(folder)), 90) <= MAX_FUNCTION_LINES


@pytest.mark.parametrize("folders", [SOURCE, ("tests",)], ids=["source", "tests"])
def test_variables_are_named_by_nouns(folders):
    names = Counter(name.strip("_") for folder in folders for name in names_given(folder))
    count = sum(names[name] for name in NO_NOUNS)
    n_lines = sum(lines(path) for folder in folders for path in code(folder, ".py"))
    assert count <= MAX_NO_NOUNS * n_lines / 1000, {name: names[name] for name in NO_NOUNS}


def test_an_assignment_stands_on_its_own_line():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for folder in SOURCE for path in code(folder, ".py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    packed = [node for node in nodes if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)]
    n_lines = sum(lines(path) for folder in SOURCE for path in code(folder, ".py"))
    assert len(packed) <= MAX_PACKED * n_lines / 1000


def test_no_two_modules_of_tests_have_one_name():
    names = Counter(path.name for path in code("tests", ".py"))
    for name in ("__init__.py", "__main__.py", "conftest.py"):
        del names[name]
    assert [name for name, count in names.items() if count > 1] == []  # pytest imports them by their names alone


def test_tests_keep_pace_with_the_source():
    source = sum(lines(path) for folder in (*SOURCE, "sample_data") for path in code(folder, ".py", ".js"))
    tests = sum(lines(path) for path in code("tests", ".py", ".js"))
    assert tests >= MIN_TEST_SHARE * source, f"{tests} lines of tests for {source} of source"


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import oga_core", {"torch", "streamlit", "plotly", "numpy", "pandas", "transformers"}),
        ("from oga_app.cli import main; main(['--help'])", {"torch", "streamlit", "plotly", "transformers", "sklearn"}),
    ],
    ids=["import oga_core", "oga --help"],
)
def test_a_start_imports_nothing_heavy(program, absent):
    # `--help` ends by SystemExit, so the modules are looked at on the way out.
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    result = subprocess.run([sys.executable, "-c", report + program], capture_output=True, text=True, check=True)
    assert absent & set(result.stderr.split()) == set()
