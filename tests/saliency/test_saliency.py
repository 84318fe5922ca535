import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from here import score_here, without_workers

import oga_sample_data
from oga_app.background.explaining import shown
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.saliency.saliency import explain, stored
from oga_core.tasks.prepare import prepare

SAMPLE_DATA = Path(oga_sample_data.__file__).parent


def scored(data: str, model: str, folder: Path, **options: object) -> RunFolder:
    made = ScoreOptions(map="none", scores=("loss",), **options)
    return score_here(SAMPLE_DATA / data, SAMPLE_DATA / model, folder, made)


def test_saliency_of_images_has_the_images_shape_and_is_kept(tmp_path):
    run = scored("digits.zip", "digits.pt2", tmp_path / "run", max_samples=50)
    saliency = explain(run, [3, 0])  # in a worker, as everywhere outside these tests
    pixels = np.array(saliency[3]["pixels"])
    assert pixels.shape == (32, 32)
    assert np.abs(pixels).max() == pytest.approx(1, abs=1e-3)
    assert stored(run, 0) == saliency[0]
    assert stored(run, 1) is None
    with without_workers():
        assert explain(run, [0, 7])[0] == saliency[0]


def test_progress_counts_the_samples_that_are_done_and_only_those_that_are_missing(tmp_path):
    run = scored("tumours.csv", "tumours.pt2", tmp_path / "run", label_column="diagnosis", max_samples=30)
    events = []
    with without_workers():
        explain(run, [4], progress=events.append)
        explain(run, [2, 4, 6, 9], progress=events.append)
    counts = [(event["done"], event["total"]) for event in events]
    assert counts == [(1, 1), (1, 3), (2, 3), (3, 3)]
    assert {event["stage"] for event in events} == {"saliency"}


def test_a_sample_that_cannot_be_read_is_left_out_and_counted(tmp_path):
    data = tmp_path / "digits"
    with zipfile.ZipFile(SAMPLE_DATA / "digits.zip") as archive:
        archive.extractall(data)
    run = score_here(
        data, SAMPLE_DATA / "digits.pt2", tmp_path / "run", ScoreOptions(map="none", scores=("loss",), max_samples=20)
    )
    path = data / run.table["sample_id"][1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    events = []
    with without_workers():
        assert set(explain(run, [0, 1, 2], progress=events.append)) == {0, 2}
    assert [event["done"] for event in events] == [1, 2, 3]
    assert stored(run, 1) is None


def products(run: RunFolder, row: int) -> np.ndarray:
    """Gradient × embedding of each token of a text, from a hook on the model's own embedding."""
    loaded = load_model(SAMPLE_DATA / "messages")
    samples, task = prepare(run.samples, loaded, None)
    batch = task.batch(samples, np.array([row]))
    outputs = []
    layer = loaded.module.get_input_embeddings()
    handle = layer.register_forward_hook(lambda *call: outputs.append(call[2]) or call[2].retain_grad())
    task.losses(task.outputs(loaded.module, batch), batch).sum().backward()
    handle.remove()
    return (outputs[0].grad * outputs[0]).sum(-1)[0].detach().numpy()


def test_saliency_of_a_text_covers_its_words_and_says_its_sum(tmp_path):
    run = scored("messages.csv", "messages", tmp_path / "run", max_samples=30)
    text = run.samples.inputs[0]
    with without_workers():
        saliency = explain(run, [0])[0]
    spans, exact = saliency["spans"], products(run, 0)
    covered = "".join(text[start:end] for start, end, _ in spans)
    assert covered == "".join(text.split())
    assert "pair_spans" not in saliency
    assert saliency["sum"] == pytest.approx(exact.sum(), abs=1e-4)
    assert saliency["largest"] == pytest.approx(np.abs(exact).max(), abs=1e-4)
    inside = sum(weight for *_, weight in spans) * saliency["largest"]
    assert saliency["sum"] - saliency["outside"] == pytest.approx(inside, abs=0.001 * len(spans))
    assert shown(ScoredRun(run.path), 0, text)["weights_note"].startswith(
        f"Gradient × input adds up to {exact.sum():+.3f}"
    )


def test_both_texts_of_a_pair_are_shaded(tmp_path):
    messages = pd.read_csv(SAMPLE_DATA / "messages.csv").head(30)
    pairs = {"sentence1": messages["text"], "sentence2": messages["text"][::-1].tolist(), "label": messages["label"]}
    pd.DataFrame(pairs).to_csv(tmp_path / "pairs.csv", index=False)
    options = ScoreOptions(map="none", scores=("loss",))
    run = score_here(tmp_path / "pairs.csv", SAMPLE_DATA / "messages", tmp_path / "run", options)
    with without_workers():
        saliency = explain(run, [3])[3]
    for text, spans in zip(run.samples.inputs[3], (saliency["spans"], saliency["pair_spans"]), strict=True):
        assert "".join(text[start:end] for start, end, _ in spans) == "".join(text.split())
    assert saliency["sum"] == pytest.approx(products(run, 3).sum(), abs=1e-4)
    assert len(shown(ScoredRun(run.path), 3, run.samples.inputs[3][0])["pair_weights"]) == len(saliency["pair_spans"])


def test_saliency_of_a_table_names_its_columns(tmp_path):
    run = scored("tumours.csv", "tumours.pt2", tmp_path / "run", label_column="diagnosis", max_samples=30)
    with without_workers():
        columns = explain(run, [0])[0]["columns"]
    assert set(columns) == set(run.samples.inputs[0])
    assert max(map(abs, columns.values())) == pytest.approx(1, abs=1e-3)


def test_outputs_have_nothing_to_explain(tmp_path):
    bundle = tmp_path / "outputs.npz"
    random = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 10)
    np.savez(bundle, logits=random.normal(size=(20, 2)), features=random.normal(size=(20, 3)), labels=labels)
    run = score_here(bundle, None, tmp_path / "run", ScoreOptions(map="none", scores=("loss",), force=True))
    with pytest.raises(OgaError, match="scored from a bundle of outputs"):
        explain(run, [0])
