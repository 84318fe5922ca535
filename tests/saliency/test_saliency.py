from pathlib import Path

import numpy as np
import pytest

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.runs.folder import RunFolder
from oga_core.saliency.saliency import explain, stored

SAMPLE_DATA = Path(oga_sample_data.__file__).parent


def scored(data: str, model: str, folder: Path, **options: object) -> RunFolder:
    return score(SAMPLE_DATA / data, SAMPLE_DATA / model, folder, ScoreOptions(map="none", scores=("loss",), **options))


def test_saliency_of_images_has_the_images_shape_and_is_kept(tmp_path):
    run = scored("digits.zip", "digits.pt2", tmp_path / "run", max_samples=50)
    found = explain(run, [3, 0])
    pixels = np.array(found[3]["pixels"])
    assert pixels.shape == (32, 32)
    assert np.abs(pixels).max() == pytest.approx(1, abs=1e-3)
    assert stored(run, 0) == found[0]
    assert stored(run, 1) is None


def test_saliency_of_a_text_covers_its_words(tmp_path):
    run = scored("messages.csv", "messages", tmp_path / "run", max_samples=30)
    text = run.samples.inputs[0]
    spans = explain(run, [0])[0]["spans"]
    covered = "".join(text[start:end] for start, end, _ in spans)
    assert covered == "".join(text.split())
    assert max(abs(weight) for *_, weight in spans) > 0.1


def test_saliency_of_a_table_names_its_columns(tmp_path):
    run = scored("tumours.csv", "tumours.pt2", tmp_path / "run", label_column="diagnosis", max_samples=30)
    columns = explain(run, [0])[0]["columns"]
    assert set(columns) == set(run.samples.inputs[0])
    assert max(map(abs, columns.values())) == pytest.approx(1, abs=1e-3)


def test_outputs_have_nothing_to_explain(tmp_path):
    bundle = tmp_path / "outputs.npz"
    random = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 10)
    np.savez(bundle, logits=random.normal(size=(20, 2)), features=random.normal(size=(20, 3)), labels=labels)
    run = score(bundle, None, tmp_path / "run", ScoreOptions(map="none", scores=("loss",), force=True))
    with pytest.raises(OgaError, match="scored from a bundle of outputs"):
        explain(run, [0])
