"""The one probability that a label is wrong: about right on average, and never against the ranking."""

import numpy as np
import pytest
from problems import blobs, sketch_of
from test_noise import overlapping

from oga_core.findings.noise import estimate_noise, wrong_label_probability
from oga_core.scores.oga import oga
from oga_core.threshold.expectation import Expectation
from oga_core.threshold.ranked import RankedScores


def told(sketch):
    score = oga(sketch)
    return wrong_label_probability(sketch, score, estimate_noise(sketch).middle), score


@pytest.mark.parametrize("flipped", [0.1, 0.3])
def test_separable_classes_leave_little_doubt(flipped):
    sketch, wrong = blobs(2000, flipped=flipped)
    chance, _ = told(sketch)
    assert chance[wrong].mean() > 0.8
    assert chance[~wrong].mean() < 0.1
    assert chance.mean() == pytest.approx(wrong.mean(), abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_ten_bins_are_about_right_where_classes_overlap(seed):
    sketch, wrong = overlapping(0.2, seed)
    chance, _ = told(sketch)
    parts = np.array_split(np.argsort(chance, kind="stable"), 10)
    errors = [abs(chance[part].mean() - wrong[part].mean()) for part in parts]
    assert np.mean(errors) < 0.08


def test_it_rises_with_the_score_and_is_a_probability():
    sketch, _ = overlapping(0.2)
    chance, score = told(sketch)
    assert (np.diff(chance[np.argsort(score)]) >= 0).all()
    assert 0 <= chance.min() <= chance.max() <= 1
    score[:5] = np.nan
    again = wrong_label_probability(sketch, score, estimate_noise(sketch).middle)
    assert np.isfinite(again).all()


def test_evidence_that_tells_nothing_gives_no_probability():
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 8)).astype(np.float32)
    sketch = sketch_of(features, random.normal(size=(400, 3)).astype(np.float32), random.integers(3, size=400))
    assert told(sketch)[0] is None


@pytest.mark.parametrize("seed", range(3))
def test_before_any_verdict_the_probabilities_tell_more_of_the_precision_than_the_noise_rate(seed):
    sketch, wrong = overlapping(0.2, seed)
    chance, score = told(sketch)
    ranked, nothing = RankedScores(score), np.empty(0, dtype=np.int64)
    noise = estimate_noise(sketch)
    plain = Expectation(ranked, nothing, nothing.astype(bool), noise_rate=noise.rate).at(0.2)
    ends = (noise.low, noise.high)
    centred = Expectation(ranked, nothing, nothing.astype(bool), probability=chance, noise_range=ends).at(0.2)
    assert centred.precision.width < 0.6 * plain.precision.width
    assert centred.precision.low <= wrong[ranked.flagged(0.2)].mean() <= centred.precision.high


def test_verdicts_move_what_the_evidence_said():
    random = np.random.default_rng(1)
    ranked = RankedScores(random.normal(size=4000))
    chance = np.where(ranked.ranks < 400, 0.9, 0.05)
    rows = ranked.order[:400:4]
    found = Expectation(ranked, rows, np.arange(100) % 3 == 0, probability=chance)
    assert found.at(0.1).precision.estimate == pytest.approx(1 / 3, abs=0.12)
