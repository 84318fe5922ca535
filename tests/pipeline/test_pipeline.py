import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from here import score_here

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import PassResult
from oga_core.models.card import ModelCard
from oga_core.pipeline import job as gradient_job
from oga_core.pipeline import option_checks, worker_pass
from oga_core.pipeline.checks import check_memorised
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import PassRequest
from oga_core.pipeline.score import score
from oga_core.runs.folder import RunFolder, score_names
from oga_core.worker.stages import Stages

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = SAMPLE_DATA / "tumours.csv", SAMPLE_DATA / "tumours.pt2"
OPTIONS = ScoreOptions(label_column="diagnosis", map="pca", scores=("loss", "margin", "l2_norm", "isolation_forest"))


STAGES: list[str] = []


@pytest.fixture(scope="module")
def tumours(tmp_path_factory) -> RunFolder:
    STAGES.clear()
    folder = tmp_path_factory.mktemp("runs") / "tumours"
    return score(*TUMOURS, folder, OPTIONS, lambda event: STAGES.append(event["stage"]))


def truth(name: str) -> pd.Series:
    return pd.read_csv(SAMPLE_DATA / f"{name}_truth.csv", index_col="id")["true_label"]


def precision_at_noise(run: RunFolder, name: str, score_name: str) -> float:
    table = run.table.set_index("sample_id")
    wrong = table["given_label"] != truth(name)
    return float(wrong[table[f"score_{score_name}"].nlargest(int(wrong.sum())).index].mean())


def test_the_run_folder_keeps_its_contract(tumours):
    info = tumours.info
    assert info.status == "done"
    assert info.n_samples == 569
    assert info.classes == ("malignant", "benign")
    assert info.modality == "tabular"
    assert info.default_score in score_names(tumours.table)
    assert info.gradient_coverage == 1
    assert info.gradient_check_error < 1e-4
    assert 0.8 < info.model_accuracy_on_given_labels < 0.95
    assert info.peak_rss_mb > 10
    assert {"gradients", "scores", "total"} <= set(info.seconds)
    assert {"oga", "torch"} <= set(info.versions)
    columns = ["sample_id", "given_label", "predicted_label", "given_label_probability", "map_x", "map_y"]
    assert set(columns) <= set(tumours.table.columns)
    assert tumours.table["sample_id"].tolist() == pd.read_csv(TUMOURS[0])["id"].tolist()
    assert np.isfinite(tumours.table.select_dtypes("number")).all(axis=None)
    assert np.load(tumours.path / "sketch.npy").shape[0] == 569
    assert (tumours.path / "sketch.npy").samefile(tumours.arrays / "sketch.npy")  # stored once


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
    again = score_here(*TUMOURS, tmp_path / "again", OPTIONS)
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
    run = score_here(TUMOURS[0], bundle, tmp_path / "run", OPTIONS)
    for name in ("loss", "l2_norm"):
        np.testing.assert_allclose(run.table[f"score_{name}"], tumours.table[f"score_{name}"], rtol=1e-4, atol=1e-6)


def test_a_bundle_alone_is_scored_without_a_model(tumours, tmp_path):
    sketch = tumours.gradient_sketch()
    bundle = tmp_path / "outputs.npz"
    labels = tumours.table["given_label"].to_numpy(dtype=str)
    np.savez(bundle, logits=sketch.logits, features=sketch.features, labels=labels, classes=["malignant", "benign"])
    run = score_here(bundle, None, tmp_path / "run", ScoreOptions(map="none", scores=("loss",)))
    np.testing.assert_allclose(run.table["score_loss"], tumours.table["score_loss"], rtol=1e-4, atol=1e-6)


def test_classes_in_the_wrong_order_stop_the_run_with_the_right_order(tmp_path):
    card = json.loads(ModelCard("tabular", ("benign", "malignant"), _features()).to_json())
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    options = ScoreOptions(label_column="diagnosis", map="none", model_card=str(path))
    with pytest.raises(OgaError, match="in the order: malignant, benign"):
        score_here(*TUMOURS, tmp_path / "run", options)
    info = RunFolder(tmp_path / "run").info
    assert info.status == "failed"
    proposal = next(check for check in info.checks if check["name"] == "label_order")
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
        ({"labels": "nowhere"}, "The table of labels 'nowhere' does not exist"),
        ({"scores": ("tracin",)}, "'tracin' needs clean samples: give them with --validation"),
        ({"scores": ("aum",)}, "'aum' needs weights saved during training: give them with --checkpoints"),
        ({"scores": ("tracin_cp",)}, "'tracin_cp' needs clean samples and weights .* --validation and --checkpoints"),
        ({"scores": ("l1_norm_all",), "parameters": "head"}, "'l1_norm_all' needs .* --parameters all"),
        ({"scores": ("l2_norm_all",), "parameters": "head"}, "'l2_norm_all' needs .* --parameters all"),
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
    assert RunFolder(tmp_path / "run").info.status == "cancelled"
    assert score_here(*TUMOURS, tmp_path / "run", OPTIONS).info.status == "done"


def test_changed_data_is_not_mixed_with_old_scores(tmp_path):
    data = tmp_path / "data.csv"
    data.write_bytes(TUMOURS[0].read_bytes())
    run = score_here(data, TUMOURS[1], tmp_path / "run", OPTIONS)
    data.write_text(data.read_text().replace("malignant", "benign", 1))
    with pytest.raises(OgaError, match="has changed since it was scored"):
        _ = run.samples


@pytest.mark.parametrize("name", ["validation", "checkpoints"])
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_written(name, tmp_path, monkeypatch):
    given = tmp_path / "given.csv"
    given.touch()
    monkeypatch.setattr(option_checks.os, "access", lambda path, mode: Path(path) != given)
    with pytest.raises(OgaError, match=r"given\.csv' cannot be read"):
        score(*TUMOURS, tmp_path / "run", ScoreOptions(**{name: str(given) if name == "validation" else (str(given),)}))
    assert not (tmp_path / "run").exists()


def other_network(folder: Path) -> str:
    torch.save({"weight": torch.zeros(2, 2)}, folder / "epoch.pt")
    return str(folder / "epoch.pt")


def other_columns(folder: Path) -> str:
    (folder / "clean.csv").write_text("size,label\n1,malignant\n2,benign\n")
    return str(folder / "clean.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"device": "tpu"}, "Unknown device 'tpu'"),
        (lambda _: {"device": "cpu", "precision": "tf32"}, "'tf32' cannot be had on the CPU"),
        (lambda _: {"parameters": "pattern:nothing"}, "matches none of the model's"),
        (lambda _: {"scores": ("l1_norm_all",)}, "'l1_norm_all' needs .* --parameters all"),
        (lambda _: {"scores": ("view_margin",)}, "'view_margin' needs mirrored and shifted copies"),
        (lambda folder: {"checkpoints": (other_network(folder),)}, "are of another network"),
        (lambda folder: {"validation": other_columns(folder)}, "With the validation data: .*no column"),
    ],
)
def test_what_a_pass_cannot_use_is_refused_before_the_pass(change, message, tmp_path):
    events: list[dict[str, Any]] = []
    with pytest.raises(OgaError, match=message):
        score_here(*TUMOURS, tmp_path / "run", replace(OPTIONS, **change(tmp_path)), events.append)
    assert "gradients" not in {event["stage"] for event in events}
    assert "device" not in change(tmp_path) or "read data" not in {event["stage"] for event in events}
    assert RunFolder(tmp_path / "run").info.status == "failed"


def test_exact_norms_of_all_parameters_can_be_asked_for(tmp_path):
    options = replace(OPTIONS, parameters="all", scores=("l1_norm_all", "l2_norm_all"), map="none")
    run = score_here(*TUMOURS, tmp_path / "run", options)
    l1, l2 = run.table["score_l1_norm_all"], run.table["score_l2_norm_all"]
    assert (l1 >= l2).all()
    assert (l2 > 0).any()


def result(check_error: float, notes: tuple[str, ...] = (), accuracy: float = 0.5) -> PassResult:
    labels = np.arange(200) % 2
    logits = np.eye(2, dtype=np.float32)[np.where(np.arange(200) < 200 * accuracy, labels, 1 - labels)]
    sketch = GradientSketch(labels, logits[:, 0], logits, logits=logits, check_error=check_error)
    return PassResult(sketch, np.arange(200), (), notes, 1, "cpu", 0.0)


def test_only_passes_whose_views_a_score_reads_make_them(tmp_path, monkeypatch):
    taken = {}

    def take(task, module, samples, *, folder, options, progress):
        taken[folder.name] = options.views
        return result(0.0)

    for name, stub in (("gradient_pass", take), ("assign", print), ("read_weights", str)):
        monkeypatch.setattr(gradient_job, name, stub)
    request = PassRequest("data.csv", "model.pt2", str(tmp_path), checkpoints=("a.pt",))
    stages = Stages(lambda event: None)
    loaded, options = SimpleNamespace(module=None), PassOptions(views=True)
    passes = gradient_job._further_passes(loaded, None, "samples", "clean", request, options, stages)
    assert taken == {"validation": True, "checkpoint_000": False, "validation_checkpoint_000": False}
    assert len(passes) == 3


def test_the_largest_error_and_the_notes_of_all_passes_are_kept():
    further = [result(3e-4, ("a", "b")), result(float("nan"), ("b", "c"))]
    joined = gradient_job._joined(result(1e-6, ("a",)), further)
    assert joined.sketch.check_error == 3e-4
    assert joined.notes == ("a", "b", "c")


@pytest.mark.parametrize(("accuracy", "warnings"), [(0.99, 1), (0.9, 0)])
def test_memorised_labels_are_said_once_by_what_all_samples_tell(accuracy, warnings):
    checks = gradient_job._of_all(check_memorised(0.999), result(0.0, accuracy=accuracy))
    assert len(checks) == warnings
    assert all("99.0%" in check.message for check in checks)


def test_linked_data_and_models_are_read_under_the_names_of_their_links(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    links = []
    for name, source in (("train.csv", TUMOURS[0]), ("model.pt2", TUMOURS[1])):
        (blobs / source.name.encode().hex()).write_bytes(source.read_bytes())
        (tmp_path / "snapshot").mkdir(exist_ok=True)
        links.append(tmp_path / "snapshot" / name)
        links[-1].symlink_to(Path("..") / "blobs" / source.name.encode().hex())
    run = score(*links, tmp_path / "run", replace(OPTIONS, map="none"))
    assert run.info.data.path == str(links[0])
    assert len(run.samples) == 569


@pytest.mark.usefixtures("tumours")
def test_stages_without_progress_have_a_shorter_silence_limit(tmp_path, monkeypatch):
    given: dict[str, Any] = {}
    monkeypatch.setattr(worker_pass, "run_job", lambda name, arguments, **options: given.update(options) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(*TUMOURS, tmp_path / "run", OPTIONS)
    # The stage "check model" is entered, left for the samples' reading, and entered again to run the model.
    before = STAGES[: STAGES.index("read samples") + 1]
    assert {"read data", "load model", "read samples"} <= set(before)
    limited = given["quiet_stages"]
    assert set(before) - {"check model"} <= set(limited)
    assert all(300 <= limit < 600 for limit in limited.values())
    assert not {"check model", "gradients"} & set(limited)
