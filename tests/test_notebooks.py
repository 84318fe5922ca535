"""The notebooks run from top to bottom, and what they print is what they say."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "sample_data" / "notebooks"
MAX_CELL_LINES = 30


def outputs(name: str, folder: Path) -> str:
    """Run a notebook in a kernel of its own and return what it prints and shows as text."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in shown)


def shares(text: str) -> tuple[float, float]:
    """The share of wrong labels among all samples, and among the flagged."""
    match = re.search(r"([\d.]+)% of all labels are wrong, ([\d.]+)% of the flagged", text)
    assert match, text
    return float(match[1]), float(match[2])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["photographs", "table"])
def test_the_flagged_are_wrong_far_more_often(name, tmp_path):
    text = outputs(name, tmp_path)
    everywhere, flagged = shares(text)
    assert flagged > 5 * everywhere
    assert {"photographs": "expected precision", "table": "Trimming"}[name] in text


def test_rows_for_fine_tuning_are_scored_as_they_were_trained_on(tmp_path):
    text = outputs("fine_tuning_rows", tmp_path)
    shares_of = {name: int(share) for name, share in re.findall(r"^(\w+) +(\d+)%$", text, re.MULTILINE)}
    assert shares_of["loss"] > 70
    assert shares_of["mean_loss"] > 50  # by the weights that the callback kept
    assert max(shares_of.values()) > 85


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_short_and_holds_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert max(cell.source.count("\n") + 1 for cell in notebook.cells) <= MAX_CELL_LINES
