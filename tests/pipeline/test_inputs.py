"""What the samples look like is kept beside the gradients: rows of tables, signatures of texts, small images."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.pipeline import inputs
from oga_core.samples import SampleSet, Source
from oga_core.tasks.image import ImageTask
from oga_core.tasks.looks import looks
from oga_core.tasks.tabular import TabularTask
from oga_core.tasks.text import TextTask
from oga_core.tasks.thumbnails import thumbnails

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


def sampled(values, modality):
    n = len(values)
    ids, source = np.arange(n).astype(str).astype(object), Source(Path("data"), "memory")
    labels = np.arange(n) % 2
    return SampleSet(ids, values, labels, ("n", "y"), modality, [{}] * n, np.arange(n), source, modality)


def test_signatures_of_texts_are_written_and_read_with_the_arrays(tmp_path):
    texts = ["A text, and more of it", "a text and more of it", "another one"]
    inputs.write_inputs(TextTask(None, 10), sampled(texts, "text"), tmp_path)
    few = np.zeros((3, 2), dtype=np.float32)
    GradientSketch(np.array([0, 1, 0]), few[:, 0], few).save(tmp_path)
    kept = GradientSketch.load(tmp_path).signatures
    assert (kept[0] == kept[1]).all()
    assert not (kept[0] == kept[2]).any()


def test_the_pass_keeps_small_copies_of_images_where_it_is_asked_to(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)) for _ in range(6)]
    task = ImageTask((40, 36), 3, np.full(3, 0.5, np.float32), np.full(3, 0.2, np.float32))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    for asked in (False, True):
        options = PassOptions(device="cpu", batch_size=4, thumbnails=asked)
        result = gradient_pass(task, model, sampled(pictures, "image"), folder=tmp_path / str(asked), options=options)
        kept = result.sketch.thumbnails
        assert (kept is not None) == asked
    assert kept.shape == (6, 32, 32)
    assert kept.dtype == np.uint8
    batch = task.batch(sampled(pictures, "image"), np.arange(6))
    np.testing.assert_array_equal(kept, thumbnails(batch)["thumbnails"].numpy())
    np.testing.assert_allclose(result.sketch.looks, looks(batch)["looks"].numpy(), rtol=1e-5)
