"""The model on a few samples before the start: its checks, and how long all samples would take."""

import json
from pathlib import Path

import oga_sample_data
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import PassRequest
from oga_core.previews.reader import content_of, try_some
from oga_core.previews.trial import TRIED

SAMPLES = Path(oga_sample_data.__path__[0])


def test_a_trial_measures_and_checks(tmp_path):
    options = ScoreOptions(label_column="diagnosis", device="cpu")
    request = PassRequest.of(SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2", tmp_path, options)
    trial = try_some(request)
    assert trial["device"] == "cpu"
    assert trial["n_tried"] > TRIED
    assert trial["first_seconds"] > 0
    assert trial["n_samples"] == 569
    assert trial["n_outputs"] == 2
    assert trial["memory_mb"] > 100
    assert {check["name"] for check in trial["checks"]} >= {"label_order", "finite"}
    assert not list(tmp_path.iterdir())


def test_a_trial_finds_classes_in_another_order(tmp_path):
    card = json.loads(content_of(SAMPLES / "tumours.pt2").card or "")
    (tmp_path / "card.json").write_text(json.dumps({**card, "classes": card["classes"][::-1]}))
    options = ScoreOptions(label_column="diagnosis", device="cpu", model_card=str(tmp_path / "card.json"))
    trial = try_some(PassRequest.of(SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2", tmp_path, options))
    [order] = [check for check in trial["checks"] if check["name"] == "label_order"]
    assert order["level"] == "failure"
    assert order["detail"]["classes"] == card["classes"]
