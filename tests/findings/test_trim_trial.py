"""The suggested trim is tried on heads before anybody trims, and what does not help is said."""

from dataclasses import replace

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.findings.diagnosis import diagnose
from oga_core.findings.noise import least_moved
from oga_core.findings.trim_trial import try_trim
from oga_core.runs.info import RunInfo
from oga_core.scores.ensemble import mean_probabilities
from oga_core.threshold.trim_trial import TrimTrial

CLASSES = ["ant", "bee", "cow"]


def tried(sketch, flagged, seed=0):
    return try_trim(sketch, flagged, least_moved(mean_probabilities(sketch), sketch.given_labels), seed=seed)


def diagnosed(sketch, score):
    ids = np.arange(len(sketch)).astype(str).astype(object)
    return diagnose(sketch, score.astype(np.float64), class_names=CLASSES, ids=ids, groups={}).fields


def one_sided(seed=0):
    """Two classes that overlap, a third of the second one's samples labelled as the first."""
    rng = np.random.default_rng(seed)
    true = rng.integers(2, size=4000)
    features = (np.where(true == 1, 1.0, -1.0)[:, None] * np.eye(6)[0] + rng.normal(size=(4000, 6))).astype(np.float32)
    wrong = (true == 1) & (rng.random(4000) < 0.35)
    logits = np.stack([-1.0 * features[:, 0], features[:, 0]], axis=1)
    return replace(sketch_of(features, logits, np.where(wrong, 0, true)), view_logits=None, middle_features=None), wrong


@pytest.mark.parametrize("seed", range(2))
def test_trimming_the_wrong_ones_of_one_sided_noise_helps_though_labels_that_judge_are_wrong_in_the_same_way(seed):
    sketch, wrong = one_sided(seed)
    assert tried(sketch, np.flatnonzero(wrong)).helps
    assert tried(sketch, np.flatnonzero((sketch.given_labels == 1) & (np.arange(4000) % 3 == 0))).harms


def test_a_random_trim_is_not_clearly_better_than_another():
    sketch, _ = blobs(1000, flipped=0.2)
    said = [tried(sketch, np.random.default_rng(i).permutation(1000)[:100], seed=i).helps for i in range(10)]
    assert sum(said) <= 2


def test_without_features_or_with_nothing_to_trim_nothing_is_tried():
    sketch, wrong = blobs(300, flipped=0.1)
    assert tried(sketch, np.zeros(0, dtype=np.int64)) is None
    assert tried(replace(sketch, features=None, view_features=None), np.flatnonzero(wrong)) is None


def test_the_trial_of_the_suggested_share_is_part_of_the_record():
    sketch, _ = blobs(1000, flipped=0.2)
    fields = diagnosed(sketch, sketch.losses)
    assert fields["suggested_trim_fraction"] > 0.1
    trial = RunInfo.from_json({"status": "done", **fields}, "run.json").trim_trial
    assert trial.gain_low < trial.gain < trial.gain_high
    said = trial.sentence(fields["suggested_trim_fraction"])
    assert said == "" or said in fields["warnings"]


def test_what_is_said_of_a_trial():
    assert TrimTrial(0.02, 0.01, 0.03).sentence(0.1) == ""
    unclear = TrimTrial(0.001, -0.002, 0.004).sentence(0.1)
    assert unclear.startswith("Heads trained on the model's features without the 10.0\u00a0% that would be trimmed")
    assert "(+0.1 points of accuracy, -0.2 to +0.4)" in unclear
    assert "(no difference in accuracy)" in TrimTrial(0.0, -0.0002, 0.0001).sentence(0.1)
    assert "So no share is suggested to trim." in TrimTrial(-0.02, -0.03, -0.01).sentence(0.1)


def test_where_no_head_changes_its_mind_neither_is_better():
    true = np.arange(1200) % 3
    wrong = np.random.default_rng(0).random(1200) < 0.09
    places = 8 * np.eye(3, dtype=np.float32)[true]
    sketch = sketch_of(places + np.float32(0.01) * wrong[:, None], places, np.where(wrong, (true + 1) % 3, true))
    trial = tried(sketch, np.flatnonzero(wrong)[:30])
    assert trial == TrimTrial(0.0, 0.0, 0.0)
    assert not trial.harms
