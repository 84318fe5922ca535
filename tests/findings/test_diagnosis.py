from dataclasses import replace

import numpy as np

from oga_core.findings.diagnosis import diagnose
from oga_core.gradient_sketch import GradientSketch

N, CLASSES = 600, ["cat", "dog", "owl"]


def problem() -> tuple[GradientSketch, np.ndarray]:
    """Three clusters, a tenth of the labels wrong, and a model that saw through most of it."""
    random = np.random.default_rng(0)
    true = random.integers(0, 3, N)
    wrong = random.random(N) < 0.1
    given = np.where(wrong, (true + 1) % 3, true)
    features = (4 * np.eye(3)[true] + random.normal(size=(N, 3))).astype(np.float32)
    logits = features + (0.3 * np.eye(3)[given]).astype(np.float32)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    losses = -np.log(shifted[np.arange(N), given] / shifted.sum(axis=1)).astype(np.float32)
    return GradientSketch(given, losses, features, logits=logits, features=features), wrong


def diagnosis(groups):
    sketch, wrong = problem()
    ids = np.array([f"s{i}" for i in range(N)], dtype=object)
    return diagnose(sketch, sketch.losses.astype(np.float64), class_names=CLASSES, ids=ids, groups=groups), wrong


def test_wrong_labels_are_found_with_the_label_to_use():
    result, wrong = diagnosis({})
    sketch, _ = problem()
    mislabelled = result.columns["finding"] == "likely mislabelled"
    assert wrong[mislabelled].mean() > 0.8
    assert mislabelled[wrong].mean() > 0.7
    hits = mislabelled & wrong
    right = np.array(CLASSES)[(sketch.given_labels - 1) % 3]
    assert (result.columns["suggested_label"][hits] == right[hits]).mean() > 0.9
    reasons = np.array(result.columns["reason"], dtype=object)
    assert all(reason.startswith("Looks like") for reason in reasons[mislabelled])
    assert not any("%" in reason for reason in reasons)
    assert all(reason == "" for reason in reasons[result.columns["finding"] == "none"])


def test_the_noise_rate_is_near_the_truth_and_suggests_what_to_trim():
    result, wrong = diagnosis({})
    rate = result.fields["noise_rate"]
    assert rate["low"] <= rate["rate"] <= rate["high"]
    assert abs(rate["rate"] - wrong.mean()) < 0.05
    assert 0.05 < result.fields["suggested_trim_fraction"] <= rate["rate"]
    assert not any("No share is suggested" in warning for warning in result.fields["warnings"])


def test_where_nothing_is_surely_wrong_a_sentence_says_why_nothing_is_suggested_to_trim():
    sketch, wrong = problem()
    clean = replace(sketch, given_labels=np.where(wrong, (sketch.given_labels - 1) % 3, sketch.given_labels))
    ids = np.array([f"s{i}" for i in range(N)], dtype=object)
    score = clean.losses.astype(np.float64)
    result = diagnose(clean, score, class_names=CLASSES, ids=ids, groups={})
    assert result.fields["suggested_trim_fraction"] == 0
    assert "wrong labels can't be told from ambiguous samples here" in result.fields["warnings"][-1]


def test_a_group_that_is_flagged_far_too_often_is_named():
    _, wrong = problem()
    result, _ = diagnosis({"annotator": np.where(wrong, "hasty", "careful").tolist()})
    assert any("annotator = hasty" in warning for warning in result.fields["warnings"])
    assert not any("careful" in warning for warning in result.fields["warnings"])


def test_language_models_have_no_findings_but_warnings():
    random = np.random.default_rng(0)
    losses = np.r_[random.random(180), 5 + random.random(20)].astype(np.float32)
    sketch = GradientSketch(np.full(200, -1), losses, random.normal(size=(200, 4)).astype(np.float32))
    ids = np.array([str(i) for i in range(200)], dtype=object)
    source = ["book"] * 180 + ["forum"] * 20
    result = diagnose(sketch, losses.astype(np.float64), class_names=[], ids=ids, groups={"source": source})
    assert result.columns == {}
    assert any("source = forum" in warning for warning in result.fields["warnings"])
