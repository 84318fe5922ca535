import re

import numpy as np
import pytest
from scipy.special import expit

from oga_core.threshold.expectation import Expectation, Interval, Progress
from oga_core.threshold.ranked import RankedScores

N = 4000


def simulate(seed: int, rate: float = 0.2, separation: float = 2.0):
    random = np.random.default_rng(seed)
    bad = random.random(N) < rate
    return RankedScores(random.normal(size=N) + separation * bad), bad


def review(scores, bad, count, seed=0):
    rows = np.empty(0, dtype=np.int64)
    while len(rows) < count:
        known = Expectation(scores, rows, bad[rows], noise_rate=0.15, seed=seed)
        rows = np.concatenate([rows, known.to_review(min(50, count - len(rows)))])
    return rows


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = []
    for seed in range(12):
        scores, bad = simulate(seed, rate=0.1 + 0.3 * (seed % 2))
        rows = review(scores, bad, 100, seed)
        found = Expectation(scores, rows, bad[rows], noise_rate=0.15, seed=seed)
        outlook = found.at(0.2)
        precision = bad[scores.flagged(0.2)].mean()
        hits += [outlook.bad.low <= bad.sum() <= outlook.bad.high]
        hits += [outlook.precision.low <= precision <= outlook.precision.high]
    assert np.mean(hits) >= 0.75  # 90 % expected; three standard errors below it


def test_intervals_shrink_with_decisions():
    scores, bad = simulate(1)
    before = Expectation(scores, np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)).at(0.2)
    rows = review(scores, bad, 300)
    after = Expectation(scores, rows, bad[rows]).at(0.2)
    assert after.bad.width < before.bad.width / 3
    assert after.precision.width < before.precision.width / 3


def test_estimate_is_near_the_truth_after_300_decisions():
    scores, bad = simulate(2, rate=0.4)
    rows = review(scores, bad, 300)
    estimate = Expectation(scores, rows, bad[rows]).at(0.4).bad.estimate
    assert estimate == pytest.approx(bad.sum(), rel=0.15)


def test_without_decisions_the_noise_rate_is_expected():
    scores, _ = simulate(3)
    nothing = np.empty(0, dtype=np.int64)
    outlook = Expectation(scores, nothing, nothing.astype(bool), noise_rate=0.3).at(0.3)
    assert outlook.bad.low < 0.3 * N < outlook.bad.high
    assert outlook.precision.estimate > outlook.missed.estimate / N


def test_without_decisions_the_number_of_bad_samples_is_within_a_small_multiple_of_its_estimate():
    scores, _ = simulate(3)
    nothing = np.empty(0, dtype=np.int64)
    bad = Expectation(scores, nothing, nothing.astype(bool), noise_rate=0.1).at(0.1).bad
    assert 3 < bad.high / bad.low < 7  # e^(2 · 1.645 · 0.5) = 5.2


def test_everything_reviewed_leaves_no_doubt():
    scores, bad = simulate(4)
    rows = np.arange(N)
    outlook = Expectation(scores, rows, bad).at(0.25)
    assert outlook.bad.low == outlook.bad.high == bad.sum()
    assert outlook.precision.estimate == pytest.approx(bad[scores.flagged(0.25)].mean())
    progress = Expectation(scores, rows, bad).progress()
    assert progress.seen_at_least == 1
    assert progress.sentence() == "You can stop: every sample here has been reviewed."
    assert Expectation(scores, rows, np.zeros(N, dtype=bool)).progress().sentence() == progress.sentence()


def test_a_review_that_has_seen_nothing_does_not_say_so_in_per_cent():
    scores, bad = simulate(4)
    nothing = np.empty(0, dtype=np.int64)
    said = Expectation(scores, nothing, nothing.astype(bool), noise_rate=0.1).progress().sentence()
    assert "have been seen" not in said
    assert re.fullmatch(
        rf"Of the wrong labels, \d+ to \d+ are among the {N:,} left unseen, with 90 % probability.", said
    )
    rows = np.arange(N // 2)
    assert "have been seen" in Expectation(scores, rows, bad[rows]).progress().sentence()


@pytest.mark.parametrize(
    ("low", "high", "unseen", "least", "words"),
    [
        (0, 0, 40, 0, "Of the wrong labels, probably none is among the 40 left unseen, with 90 % probability."),
        (1, 1.2, 40, 0, "Of the wrong labels, about 1 is among the 40 left unseen, with 90 % probability."),
        (1, 1, 40, 0, "Of the wrong labels, 1 is among the 40 left unseen, with 90 % probability."),
        (7, 7.3, 40, 0.6, "With 90 % confidence at least 60 % of the wrong labels have been seen (about 7 are among"),
        (0, 3, 40, 0.9479, "With 90 % confidence at least 94 % of the wrong labels have been seen (0 to 3 are among"),
        (0, 1, 1, 0.96, "at least 96 % of the wrong labels have been seen. 1 sample is left unseen."),
        (0, 0, 0, 0, ""),
    ],
)
def test_how_far_a_review_is_says_something_and_no_more_than_is_known(low, high, unseen, least, words):
    """At least 94.8 % is no 95 %, 0 to 0 is no range, and of no samples there is nothing to say."""
    bad, seen = Interval(low, low, high), Interval(least, least, least)
    sentence = Progress(0, seen, unseen, bad, least).sentence()
    assert words in sentence if words else sentence == ""


def test_samples_to_review_are_new_and_lie_where_doubt_is():
    scores, bad = simulate(5)
    rows = scores.flagged(0.02)
    found = Expectation(scores, rows, bad[rows])
    chosen = found.to_review(200)
    assert len(set(chosen)) == 200
    assert not set(chosen) & set(rows)
    assert np.median(scores.ranks[chosen]) < N / 2
    assert scores.ranks[chosen].max() > N / 2


def test_few_left_are_all_asked_for_and_a_bin_gives_each_of_its_samples_as_often():
    scores, bad = simulate(7)
    rows = scores.order[:-30]
    assert set(Expectation(scores, rows, bad[rows]).to_review(50)) == set(scores.order[-30:])
    nothing = np.empty(0, dtype=np.int64)
    found = Expectation(scores, nothing, nothing.astype(bool))
    drawn = [found.to_review(400) for _ in range(20)]
    ranks = scores.ranks[np.concatenate(drawn)]
    assert [len(set(rows)) for rows in drawn] == [400] * 20
    share = np.bincount(ranks, minlength=N).reshape(-1, 10).sum(axis=0) / len(ranks)  # ten samples are a bin
    assert np.abs(share - 0.1).max() < 0.015


def test_what_was_given_is_kept_for_each_score_apart():
    scores, bad = simulate(8)
    chance = expit(scores.values - 1)
    rows = scores.flagged(0.02)
    first = Expectation(scores, rows, bad[rows], probability=chance)
    again = Expectation(scores, rows, bad[rows], probability=chance)
    other = Expectation(RankedScores(-scores.values), rows, bad[rows], probability=chance)
    without = Expectation(scores, rows, bad[rows], probability=chance / 2)
    assert np.array_equal(first.revised(), again.revised())
    assert not np.allclose(first.revised(), without.revised())
    assert not np.allclose(first.revised(), other.revised())


def test_probability_is_known_where_reviewed_and_falls_with_rank():
    scores, bad = simulate(6)
    rows = review(scores, bad, 200)
    probability = Expectation(scores, rows, bad[rows]).probability()
    assert (probability[rows] == bad[rows]).all()
    unseen = np.setdiff1d(scores.order, rows, assume_unique=True)
    assert probability[unseen[:200]].mean() > probability[unseen[-200:]].mean() + 0.3


def test_suggested_fraction_keeps_the_asked_precision():
    scores, bad = simulate(7, separation=3.0)
    rows = review(scores, bad, 300)
    fraction = Expectation(scores, rows, bad[rows]).suggest(0.8)
    assert bad[scores.flagged(fraction)].mean() > 0.7
    assert Expectation(scores, rows, bad[rows]).suggest(1.01) == 0.0


def test_a_few_samples_are_enough():
    scores = RankedScores(np.array([3.0, 1.0, 2.0]))
    outlook = Expectation(scores, np.array([0]), np.array([True])).at(0.34)
    assert outlook.precision.estimate == 1


def test_a_part_is_counted_by_itself_and_the_parts_make_the_whole():
    scores, bad = simulate(4)
    rows = review(scores, bad, 100)
    whole = Expectation(scores, rows, bad[rows])
    odd = np.arange(N) % 2 == 1
    parts = [whole.within(part[scores.order]) for part in (odd, ~odd)]
    assert sum(len(part.reviewed) for part in parts) == len(rows)
    assert sum(part.at(0.2).flagged for part in parts) == whole.at(0.2).flagged == N // 5
    assert sum(part.progress().unseen_samples for part in parts) == N - len(rows)
    together = sum(part.at(0.2).bad.estimate for part in parts)
    assert together == pytest.approx(whole.at(0.2).bad.estimate, rel=0.02)
    assert whole.within(np.ones(N, dtype=bool)).at(0.2).bad.estimate == pytest.approx(together, rel=0.02)


def test_what_is_expected_of_a_part_follows_the_scores_in_it():
    scores, bad = simulate(5)
    rows = review(scores, bad, 300)
    whole = Expectation(scores, rows, bad[rows])
    high = scores.ranks < N // 10
    assert whole.within(high[scores.order]).at(1.0).precision.estimate > 2 * whole.at(1.0).precision.estimate
    truth = bad[high].mean()
    found = whole.within(high[scores.order]).at(1.0).precision
    assert found.low <= truth <= found.high
    assert whole.within(np.zeros(N, dtype=bool)).at(0.2).missed.estimate == 0


def unsure_problem(seed: int):
    """Scores, which are bad, and probabilities that say so of too many or too few, and too sharply or not enough."""
    random = np.random.default_rng(seed)
    scores = RankedScores(random.normal(size=1000))
    chance = expit(2 * scores.values - 2.5)
    truth = expit(random.uniform(0.7, 2.2) * (2 * scores.values - 2.5) + random.normal(scale=0.7))
    return scores, random.random(1000) < truth, chance


def before_any_verdict(scores, chance, low, high):
    nothing = np.empty(0, dtype=np.int64)
    ends = (low * chance.mean(), high * chance.mean())
    return Expectation(scores, nothing, nothing.astype(bool), probability=chance, noise_range=ends).at(0.15)


def test_before_any_verdict_the_precision_is_covered_though_the_probabilities_are_off():
    hits = []
    for seed in range(30):
        scores, bad, chance = unsure_problem(seed)
        precision = before_any_verdict(scores, chance, 1 / 1.6, 1.6).precision
        hits.append(precision.low <= bad[scores.flagged(0.15)].mean() <= precision.high)
    assert np.mean(hits) >= 0.75  # 90 % expected; nearly three standard errors below it


def test_the_interval_is_as_wide_as_the_noise_rate_is_unsure():
    scores, _, chance = unsure_problem(0)
    narrow, wide = (before_any_verdict(scores, chance, 1 / factor, factor) for factor in (1.1, 2.0))
    assert narrow.bad.width < 0.5 * wide.bad.width
    assert narrow.precision.width < wide.precision.width


def test_no_rate_is_taken_for_certain():
    scores, _, chance = unsure_problem(0)
    sure = before_any_verdict(scores, chance, 1.0, 1.0)
    assert sure.precision.width > 0.25  # 0.1 where the rate is left no room


def test_where_all_may_be_ambiguity_far_fewer_may_be_wrong():
    scores, _, chance = unsure_problem(0)
    sure, doubtful = (before_any_verdict(scores, chance, low, 1.6) for low in (0.9, 0.0))
    assert doubtful.bad.low < 0.3 * sure.bad.low
    assert doubtful.precision.low < sure.precision.low - 0.15
    assert doubtful.bad.high == pytest.approx(sure.bad.high, rel=0.2)


def test_an_estimate_lies_in_its_interval_though_a_rare_draw_moves_the_mean():
    probability = np.where(np.arange(300) < 11, 0.99, 0.02)
    seen = np.r_[np.arange(8), 11]
    expectation = Expectation(RankedScores(-np.arange(300.0)), seen, seen < 8, probability=probability)
    precision = expectation.at(12 / 300).precision
    assert precision.low == precision.estimate == precision.high == pytest.approx(11 / 12)
