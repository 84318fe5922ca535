"""The rows of a table are kept as the model is given them, for the scores that look at them."""

from pathlib import Path

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.pipeline import inputs
from oga_core.samples import SampleSet, Source
from oga_core.tasks.tabular import TabularTask

TASK = TabularTask(("age", "job"), np.array([40.0], np.float32), np.array([10.0], np.float32), {"job": ["a", "b"]})
ROWS = [{"age": "50", "job": "b"}, {"age": "30", "job": "a"}, {"age": "40", "job": "?"}]


def samples():
    ids = np.array(["x", "y", "z"], dtype=object)
    source = Source(Path("rows.csv"), "csv")
    return SampleSet(ids, ROWS, np.array([0, 1, 0]), ("n", "y"), "tabular", ROWS, np.arange(3), source, "rows")


def test_numbers_are_scaled_and_categories_are_columns(tmp_path):
    inputs.write_inputs(TASK, samples(), tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "inputs.npy"), [[1, 0, 1], [-1, 1, 0], [0, 0, 0]])
    few = np.zeros((3, 2), dtype=np.float32)
    GradientSketch(np.array([0, 1, 0]), few[:, 0], few).save(tmp_path)
    sketch = GradientSketch.load(tmp_path)
    assert sketch.inputs is not None
    assert sketch.take(np.array([1])).inputs.tolist() == [[-1, 1, 0]]


def test_rows_of_an_earlier_run_are_gone_where_there_are_none_now(tmp_path, monkeypatch):
    inputs.write_inputs(TASK, samples(), tmp_path)
    monkeypatch.setattr(inputs, "MOST_ENTRIES", 8)
    inputs.write_inputs(TASK, samples(), tmp_path)
    assert list(tmp_path.iterdir()) == []
