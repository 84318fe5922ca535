import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.pipeline import ScoreOptions, score
from oga_core.runs import Run, score_names

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = SAMPLE_DATA / "tumours.csv", SAMPLE_DATA / "tumours.pt2"
OPTIONS = ScoreOptions(label_column="diagnosis", map="pca", scores=("loss", "margin", "l2_norm", "isolation_forest"))


@pytest.fixture(scope="module")
def tumours(tmp_path_factory) -> Run:
    return score(*TUMOURS, tmp_path_factory.mktemp("runs") / "tumours", OPTIONS)


def truth(name: str) -> pd.Series:
    return pd.read_csv(SAMPLE_DATA / f"{name}_truth.csv", index_col="id")["true_label"]


def precision_at_noise(run: Run, name: str, score_name: str) -> float:
    table = run.table.set_index("sample_id")
    wrong = table["given_label"] != truth(name)
    return float(wrong[table[f"score_{score_name}"].nlargest(int(wrong.sum())).index].mean())


def test_the_run_folder_keeps_its_contract(tumours):
    info = tumours.info
    assert info["status"] == "done"
    assert info["n_samples"] == 569
    assert info["classes"] == ["malignant", "benign"]
    assert info["modality"] == "tabular"
    assert info["default_score"] in score_names(tumours.table)
    assert info["gradient_coverage"] == 1
    assert info["gradient_check_error"] < 1e-4
    assert 0.8 < info["model_accuracy_on_given_labels"] < 0.95
    assert info["peak_rss_mb"] > 10
    assert {"gradients", "scores", "total"} <= set(info["seconds"])
    assert {"oga", "torch"} <= set(info["versions"])
    columns = ["sample_id", "given_label", "predicted_label", "given_label_probability", "map_x", "map_y"]
    assert set(columns) <= set(tumours.table.columns)
    assert tumours.table["sample_id"].tolist() == pd.read_csv(TUMOURS[0])["id"].tolist()
    assert np.isfinite(tumours.table.select_dtypes("number")).all(axis=None)
    assert np.load(tumours.path / "sketch.npy").shape[0] == 569


def test_flipped_labels_rank_first(tumours):
    assert precision_at_noise(tumours, "tumours", "loss") > 0.7


def test_scores_agree_with_the_definition(tumours):
    sketch = tumours.gradient_sketch()
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(np.array(sketch.logits)), torch.from_numpy(np.array(sketch.given_labels)), reduction="none"
    )
    np.testing.assert_allclose(tumours.table["score_loss"], loss.numpy(), rtol=1e-4, atol=1e-5)
    norm = np.linalg.norm(sketch.delta, axis=1) * np.linalg.norm(sketch.features, axis=1)
    np.testing.assert_allclose(tumours.table["score_l2_norm"], norm, rtol=1e-4)


def test_the_same_inputs_give_the_same_scores(tumours, tmp_path):
    again = score(*TUMOURS, tmp_path / "again", OPTIONS)
    pd.testing.assert_frame_equal(again.table, tumours.table)


def test_samples_of_a_run_line_up_with_its_table(tumours):
    samples = tumours.samples
    assert list(samples.ids) == tumours.table["sample_id"].tolist()
    assert [samples.class_names[i] for i in samples.given_labels] == tumours.table["given_label"].tolist()


def test_outputs_of_the_model_score_like_the_model(tumours, tmp_path):
    sketch = tumours.gradient_sketch()
    bundle = tmp_path / "outputs.npz"
    ids = tumours.table["sample_id"].to_numpy(dtype=str)[::-1]
    np.savez(bundle, logits=sketch.logits[::-1], features=sketch.features[::-1], ids=ids)
    card = ModelCard("tabular", ("malignant", "benign"))
    bundle.with_suffix(".json").write_text(card.to_json())
    run = score(TUMOURS[0], bundle, tmp_path / "run", OPTIONS)
    for name in ("loss", "l2_norm"):
        np.testing.assert_allclose(run.table[f"score_{name}"], tumours.table[f"score_{name}"], rtol=1e-4, atol=1e-6)


def test_a_bundle_alone_is_scored_without_a_model(tumours, tmp_path):
    sketch = tumours.gradient_sketch()
    bundle = tmp_path / "outputs.npz"
    labels = tumours.table["given_label"].to_numpy(dtype=str)
    np.savez(bundle, logits=sketch.logits, features=sketch.features, labels=labels, classes=["malignant", "benign"])
    run = score(bundle, None, tmp_path / "run", ScoreOptions(map="none", scores=("loss",)))
    np.testing.assert_allclose(run.table["score_loss"], tumours.table["score_loss"], rtol=1e-4, atol=1e-6)


def test_classes_in_the_wrong_order_stop_the_run_with_the_right_order(tmp_path):
    card = json.loads(ModelCard("tabular", ("benign", "malignant"), _features()).to_json())
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    options = ScoreOptions(label_column="diagnosis", map="none", model_card=str(path))
    with pytest.raises(OgaError, match="in the order: malignant, benign"):
        score(*TUMOURS, tmp_path / "run", options)
    info = Run(tmp_path / "run").info
    assert info["status"] == "failed"
    proposal = next(check for check in info["checks"] if check["name"] == "label_order")
    assert proposal["detail"]["classes"] == ["malignant", "benign"]


def _features() -> dict:
    with zipfile.ZipFile(TUMOURS[1]) as archive:
        name = next(name for name in archive.namelist() if name.endswith("oga.json"))
        return json.loads(archive.read(name))["input"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"map": "tsne"}, "Unknown map 'tsne'"),
        ({"scores": ("los",)}, "'los'"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"batch_size": 0}, "Batch size must be 1 or more"),
        ({"validation": "nowhere"}, "'nowhere' does not exist"),
        ({"checkpoints": ("nowhere",)}, "'nowhere' does not exist"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(change, message, tmp_path):
    with pytest.raises(OgaError, match=message):
        score(*TUMOURS, tmp_path / "run", ScoreOptions(**change))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(OgaError, match="not empty and is not a run"):
        score(*TUMOURS, tmp_path, OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_cancelled_run_says_so_and_goes_on_later(tmp_path):
    with pytest.raises(OgaError):
        score(*TUMOURS, tmp_path / "run", OPTIONS, cancelled=lambda: True)
    assert Run(tmp_path / "run").info["status"] == "cancelled"
    assert score(*TUMOURS, tmp_path / "run", OPTIONS).info["status"] == "done"


def test_changed_data_is_not_mixed_with_old_scores(tmp_path):
    data = tmp_path / "data.csv"
    data.write_bytes(TUMOURS[0].read_bytes())
    run = score(data, TUMOURS[1], tmp_path / "run", OPTIONS)
    data.write_text(data.read_text().replace("malignant", "benign", 1))
    with pytest.raises(OgaError, match="has changed since it was scored"):
        _ = run.samples
