"""The noise rate, its interval and the share to trim: noise is told from overlap, or the interval says so."""

from dataclasses import replace

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.errors import OgaError
from oga_core.findings import noise
from oga_core.findings.noise import estimate_noise, suggested_trim_fraction, surely_wrong
from oga_core.scores import oga
from oga_core.scores.ensemble import ensemble, mean_probabilities
from oga_core.threshold.ranked import RankedScores


def overlapping(flipped, seed=0, n_samples=3000, shift=1.2):
    """Two classes that overlap, a share of the labels of both flipped, under a model that knows as much as one can."""
    rng = np.random.default_rng(seed)
    true = rng.integers(2, size=n_samples)
    features = (np.where(true == 1, shift, -shift)[:, None] * np.eye(4)[0] + rng.normal(size=(n_samples, 4))).astype(
        np.float32
    )
    wrong = rng.random(n_samples) < flipped
    logits = np.stack([-shift * features[:, 0], shift * features[:, 0]], axis=1)
    sketch = sketch_of(features, logits, np.where(wrong, 1 - true, true))
    return replace(sketch, view_logits=None, middle_features=None), wrong


@pytest.mark.parametrize("flipped", [0.0, 0.1, 0.3])
def test_the_noise_rate_lies_near_the_truth_and_in_its_interval(flipped):
    sketch, wrong = blobs(2000, flipped=flipped)
    noise = estimate_noise(sketch)
    assert noise.rate == pytest.approx(wrong.mean(), abs=0.04)
    assert noise.low <= wrong.mean() <= noise.high
    assert noise.confusions.sum() <= 2000
    assert suggested_trim_fraction(sketch) <= noise.rate


@pytest.mark.parametrize("seed", range(3))
def test_overlap_without_noise_is_not_trimmed(seed):
    sketch, _ = overlapping(0.0, seed)
    noise = estimate_noise(sketch)
    assert noise.low == 0
    assert noise.high > 0.08  # it might all be noise
    assert suggested_trim_fraction(sketch) == 0


@pytest.mark.parametrize("seed", range(3))
def test_of_classes_that_overlap_where_they_are_surest_hardly_any_are_trimmed(seed):
    sketch, _ = overlapping(0.0, seed, shift=0.7)
    assert estimate_noise(sketch).low < 0.04
    assert suggested_trim_fraction(sketch) < 0.02


def test_a_model_that_was_trained_on_the_labels_is_told_from_fits_that_leave_them_out():
    sketch, _ = overlapping(0.2)
    assert [member.has_seen_labels for member in ensemble(sketch)][:2] == [True, False]
    learnt = replace(sketch, logits=9 * np.eye(2, dtype=np.float32)[sketch.given_labels])
    assert not any(member.has_seen_labels for member in ensemble(learnt))


@pytest.mark.parametrize("seed", range(3))
def test_noise_on_classes_that_overlap_is_within_the_interval_and_most_of_what_is_trimmed(seed):
    sketch, wrong = overlapping(0.2, seed)
    noise = estimate_noise(sketch)
    assert 0.1 < noise.low <= wrong.mean() <= noise.high
    share = suggested_trim_fraction(sketch)
    assert 0.05 < share <= noise.rate
    trimmed = np.argsort(-surely_wrong_of(sketch))[: round(share * len(wrong))]
    assert wrong[trimmed].mean() > 0.5


@pytest.mark.parametrize("n_samples", [300, 3000])
def test_the_most_that_could_be_noise_is_what_is_contradicted_and_chance(n_samples):
    sketch, _ = blobs(n_samples, flipped=0.1)
    contradicted = float((mean_probabilities(sketch).argmax(axis=1) != sketch.given_labels).mean())
    chance = np.sqrt(contradicted * (1 - contradicted) / n_samples)
    assert contradicted + 1.6 * chance <= estimate_noise(sketch).high <= contradicted + 2.5 * chance + 0.01


def surely_wrong_of(sketch):
    return surely_wrong(mean_probabilities(sketch), sketch.given_labels)


def test_what_the_least_noise_explains_is_surely_wrong_and_ambiguity_is_not():
    true = np.repeat([0.999, 0.001, 0.5], 2000)
    given = 0.8 * true + 0.2 * (1 - true)  # a fifth of each class is given the other label
    labels = np.zeros(6000, dtype=np.int64)
    labels[:4000:5] = 1
    labels[2000:4000] = 1 - labels[2000:4000]
    wrong = surely_wrong(np.stack([given, 1 - given], axis=1).astype(np.float32), labels)
    assert wrong[:2000:5].min() > 0.6
    assert wrong[1:2000:5].max() < 0.02
    assert wrong[4000:].max() < 0.3


def test_the_trimming_budget_caps_the_suggestion():
    sketch, _ = blobs(1000, flipped=0.1)
    assert suggested_trim_fraction(sketch, budget=0.05) == 0.05
    with pytest.raises(OgaError, match="budget must be above 0 and at most 1, got 5"):
        suggested_trim_fraction(sketch, budget=5)


def test_what_calibrated_probabilities_say_is_wrong_at_the_least_is_trimmed_too(monkeypatch):
    sketch, wrong = overlapping(0.1, n_samples=2000, shift=0.8)
    score = oga.oga(sketch)
    share = suggested_trim_fraction(sketch, score)
    assert wrong[RankedScores(score).flagged(share)].mean() > 0.5
    shares = []
    for caution in (0.0, 0.75, 1.0):  # with 0 unmixing alone says
        monkeypatch.setattr(noise, "CAUTION", caution)
        shares.append(suggested_trim_fraction(sketch, score))
    assert shares == sorted(shares)
    assert shares[0] < shares[2] <= estimate_noise(sketch).rate
    assert shares[1] == share


def test_of_a_table_whose_model_has_half_learnt_the_noise_fits_on_the_rows_say_how_much_to_trim():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1000, 3)).astype(np.float32)
    true = (inputs[:, 0] + 0.3 * rng.normal(size=1000) > 0.5).astype(int)
    one_way = np.where((true == 0) & (rng.random(1000) < 0.3), 1, true)
    for labels, least, most in ((one_way, 0.08, 0.2), (true, 0.0, 0.02)):
        learnt = 0.7 * np.eye(2)[labels]
        logits = 2 * inputs[:, :1] * np.array([-1, 1]) + learnt
        features = np.concatenate([inputs, learnt + rng.normal(size=(1000, 2))], axis=1)
        sketch = replace(sketch_of(features.astype(np.float32), logits.astype(np.float32), labels), inputs=inputs)
        assert least <= suggested_trim_fraction(sketch) <= most
