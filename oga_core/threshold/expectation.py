"""What to expect at a threshold: precision, misses and a stop rule, learnt from the decisions so far.

Which samples are reviewed may depend on their scores in any way; within one score, the reviewed are taken to be like
the others (see `posterior` for how the probability of being bad runs over the ranks).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from oga_core.numerics import Indices, Values, span
from oga_core.threshold.posterior import DRAWS, log_odds, sample_curves
from oga_core.threshold.ranked import RankedScores

CONFIDENCE = 0.90
"""Of every interval: the one level that the pages, the report and the command line speak of."""
_BINS = 400
"""Ranks are read in so many steps: a quarter of a per cent each, finer than any threshold that a person sets."""
_ROAMING = 0.15
"""Share of the proposals that come from everywhere, so that misses are found where nobody expects them."""


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its 90 % credible interval."""

    estimate: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """High minus low."""
        return self.high - self.low


@dataclass(frozen=True)
class Outlook:
    """What to expect when the most suspicious `flagged` samples are trimmed.

    precision: share of the flagged that are bad. missed: number of bad samples below the threshold.
    bad: number of bad samples in the whole data. recall: share of the bad that is flagged.
    """

    flagged: int
    precision: Interval
    missed: Interval
    bad: Interval
    recall: Interval


@dataclass(frozen=True)
class Progress:
    """How far the review has come: `seen` is the share of the bad samples that has been looked at."""

    reviewed: int
    seen: Interval
    unseen_samples: int
    unseen_bad: Interval
    seen_at_least: float

    def sentence(self, target: float = 0.95, *, what: str = "wrong labels") -> str:
        """The stop rule in plain words, none where there are no samples; what: is looked for."""
        if not self.unseen_samples:
            return "You can stop: every sample here has been reviewed." if self.reviewed else ""
        ends = span(self.unseen_bad.low, self.unseen_bad.high)
        unseen = (
            f"{ends} {'is' if ends in ('1', 'about 1') else 'are'}"
            if round(self.unseen_bad.high)
            else "probably none is"
        )
        unseen += f" among the {self.unseen_samples:,} left unseen"
        share = int(100 * self.seen_at_least)  # rounded down: it is said to be the least
        if not share:
            return f"Of the {what}, {unseen}, with 90 % probability."
        seen = f"90 % confidence at least {share} % of the {what} have been seen"
        if self.seen_at_least >= target:
            left = "1 sample is" if self.unseen_samples == 1 else f"{self.unseen_samples:,} samples are"
            return f"You can stop: with {seen}. {left} left unseen."
        return f"With {seen} ({unseen})."


class Expectation:
    """The posterior of how bad every score is, given decisions on some samples; figures about all of them, or a part.

    reviewed: positions of the samples with a verdict; bad: `(n_reviewed,)` whether each was relabelled or removed
    (a decision "unsure" is no verdict: leave it out). noise_rate: the estimate before any decision, 0 to 1.
    probability: `(n_samples,)`, of being bad before any decision; where it is given, the noise rate is its mean.
    noise_range: the lower and upper end of the noise rate, by the same evidence.
    """

    def __init__(
        self,
        scores: RankedScores,
        reviewed: Indices,
        bad: NDArray[np.bool_],
        *,
        noise_rate: float = 0.1,
        probability: Values | None = None,
        noise_range: tuple[float, float] | None = None,
        seed: int = 0,
    ):
        self.scores = scores
        self.reviewed: Indices = np.asarray(reviewed, dtype=np.int64)
        self.bad: NDArray[np.bool_] = np.asarray(bad, dtype=bool)
        self._random = np.random.default_rng(seed)
        n_bins = min(_BINS, len(scores))
        # The first rank of each bin and the end of the last: rank r is in bin r * n_bins // n_samples.
        self._edges = -(-np.arange(n_bins + 1) * len(scores) // max(n_bins, 1))
        size = np.diff(self._edges)
        self._count(None)
        self._before = None if probability is None else _Before.of(scores, probability, self._edges)
        expected = None if self._before is None else self._before.expected
        bad_in_bin = self._bad_in_bin.astype(float)
        reviewed_in_bin = self._reviewed_in_bin.astype(float)
        self._curves = sample_curves(bad_in_bin, reviewed_in_bin, size, noise_rate, self._random, expected, noise_range)
        self._bad_draws = self._random.binomial(self._unreviewed_in_bin, self._curves)  # (draws, bins)

    def within(self, by_rank: NDArray[np.bool_]) -> Expectation:
        """The same of a part of the samples, `by_rank` `(n_samples,)`: figures count the part, thresholds rank all.

        What was learnt stays: a sample is taken to be as likely bad as others of its score in the whole data.
        """
        part = copy.copy(self)
        inside = by_rank[self.scores.ranks_of(self.reviewed)]
        part.reviewed = self.reviewed[inside]
        part.bad = self.bad[inside]
        part._count(np.flatnonzero(by_rank))
        part._bad_draws = np.random.default_rng(0).binomial(part._unreviewed_in_bin, self._curves)
        return part

    def _count(self, ranks: Indices | None) -> None:
        """Take the samples at `ranks`, rising, for the part that figures are about; None for all."""
        n_bins = len(self._edges) - 1
        bins = self._bins(self.scores.ranks_of(self.reviewed))
        self._part = ranks
        self._reviewed_in_bin = np.bincount(bins, minlength=n_bins)
        self._bad_in_bin = np.bincount(bins[self.bad], minlength=n_bins)
        self._unreviewed_in_bin = np.diff(self._before_rank(self._edges)) - self._reviewed_in_bin

    def _bins(self, ranks: Indices) -> Indices:
        return ranks * (len(self._edges) - 1) // max(len(self.scores), 1)

    def _before_rank(self, ranks: Indices) -> Indices:
        """How many of the part rank before each of `ranks`."""
        return ranks if self._part is None else np.searchsorted(self._part, ranks)

    def probability(self) -> Values:
        """Expected probability of being bad for every sample, `(n_samples,)`; 0 or 1 where it was reviewed."""
        by_rank = np.repeat(self._curves.mean(axis=0), np.diff(self._edges))
        probability: Values = by_rank[self.scores.ranks]
        probability[self.reviewed] = self.bad
        return probability

    def revised(self) -> Values | None:
        """How likely each label is wrong, `(n_samples,)`: what was given before any decision, moved by the decisions.

        Each sample is moved as those of its rank are, on the logit scale, and none is likelier wrong than one that
        ranks above it. What was decided on a sample itself is no part of it. None where nothing was given.
        """
        from sklearn.isotonic import isotonic_regression

        before = self._before
        if before is None or not len(self.reviewed):
            return None if before is None else before.probability
        shift = log_odds(self._curves.mean(axis=0)) - log_odds(before.expected)
        moved = np.repeat(shift, np.diff(self._edges))
        moved += before.log_odds_by_rank
        expit(moved, out=moved)
        revised = np.empty(len(moved))
        revised[self.scores.order] = isotonic_regression(moved, y_min=0, y_max=1, increasing=False)
        return revised

    def at(self, trim_fraction: float) -> Outlook:
        """What to expect when `trim_fraction` of the samples is trimmed."""
        count = self.scores.count(trim_fraction)
        flagged = int(self._before_rank(np.array([count]))[0])
        bad_flagged = self._bad_among_first(count)
        total = self._bad_draws.sum(axis=1) + self.bad.sum()
        return Outlook(
            flagged=flagged,
            precision=_interval(bad_flagged / max(flagged, 1)),
            missed=_interval(total - bad_flagged),
            bad=_interval(total),
            recall=_interval(bad_flagged / np.maximum(total, 1)),
        )

    def progress(self) -> Progress:
        """How much of what is bad has been seen."""
        unseen = self._bad_draws.sum(axis=1)
        seen = self.bad.sum() / np.maximum(unseen + self.bad.sum(), 1)
        return Progress(
            reviewed=len(self.reviewed),
            seen=_interval(seen),
            unseen_samples=int(self._unreviewed_in_bin.sum()),
            unseen_bad=_interval(unseen),
            seen_at_least=float(np.quantile(seen, 1 - CONFIDENCE)),
        )

    def suggest(self, precision: float) -> float:
        """The largest trim_fraction whose expected precision is at least `precision`."""
        size = np.cumsum(self._unreviewed_in_bin + self._reviewed_in_bin)
        means = np.cumsum(self._bad_draws.mean(axis=0) + self._bad_in_bin) / np.maximum(size, 1)
        enough = np.flatnonzero(means >= precision)
        return float((enough[-1] + 1) / len(means)) if len(enough) else 0.0

    def to_review(self, count: int) -> Indices:
        """Positions of the unreviewed samples whose verdicts shrink the intervals fastest, drawn at random.

        Scores are drawn by their share in the spread of the number of bad samples (Neyman allocation); a few come
        from everywhere, so that misses are found where nobody expects them.
        """
        p = self._curves.mean(axis=0)
        left = self._unreviewed_in_bin.copy()
        spread = left * np.sqrt(p * (1 - p) + self._curves.var(axis=0))
        everywhere = left / max(left.sum(), 1)
        share = (1 - _ROAMING) * spread / max(spread.sum(), 1e-12) + _ROAMING * everywhere
        weight = share / np.maximum(left, 1)  # of each sample of a bin
        drawn = np.zeros_like(left)
        for _ in range(min(count, int(left.sum()))):  # bin by bin: a draw among all samples of ten million takes long
            chance = weight * left
            place = int(self._random.choice(len(left), p=chance / chance.sum()))
            drawn[place] += 1
            left[place] -= 1
        known = np.sort(self.scores.ranks_of(self.reviewed))
        ranks = [self._drawn_in(place, int(drawn[place]), known) for place in np.flatnonzero(drawn).tolist()]
        chosen = np.concatenate([*ranks, np.zeros(0, dtype=np.int64)])
        return self.scores.order[self._random.permutation(chosen)]

    def _drawn_in(self, place: int, count: int, known: Indices) -> Indices:
        """Ranks of a bin, drawn among those that were not reviewed. known: the ranks that were, rising."""
        start, stop = self._edges[place : place + 2].tolist()
        here = known[slice(*np.searchsorted(known, [start, stop]))]
        open_ranks = np.delete(np.arange(start, stop), here - start)
        return self._random.choice(open_ranks, size=count, replace=False)

    def _bad_among_first(self, flagged: int) -> Values:
        """Bad samples of the part among the first `flagged` ranks in every draw, `(draws,)`."""
        known = float(self.bad[self.scores.ranks_of(self.reviewed) < flagged].sum())
        if flagged == 0:
            return np.zeros(DRAWS)
        last = int(self._bins(np.array([flagged - 1]))[0])
        whole = self._bad_draws[:, :last].sum(axis=1)
        start, stop, at = self._before_rank(np.array([self._edges[last], self._edges[last + 1], flagged]))
        return known + whole + self._bad_draws[:, last] * ((at - start) / max(stop - start, 1))


@dataclass(frozen=True, eq=False)
class _Before:
    """What was given before any decision, along the ranks of a score: worked out once, since millions take a while.

    probability: `(n_samples,)`. expected: its mean in each bin, `(n_bins,)`.
    """

    probability: Values
    expected: Values
    order: Indices

    @classmethod
    def of(cls, scores: RankedScores, probability: Values, edges: Indices) -> _Before:
        known = _BEFORE.get(scores)
        if known is None or known.probability is not probability:
            expected = np.add.reduceat(probability[scores.order], edges[:-1]) / np.diff(edges)
            known = _BEFORE[scores] = cls(probability, expected, scores.order)
        return known

    @cached_property
    def log_odds_by_rank(self) -> Values:
        """`(n_samples,)`, the most suspicious first."""
        return log_odds(self.probability[self.order])


_BEFORE: WeakKeyDictionary[RankedScores, _Before] = WeakKeyDictionary()


def _interval(draws: Values) -> Interval:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    middle = np.clip(draws.mean(), low, high)  # of a few samples a rare draw may move the mean past an end
    return Interval(float(middle), float(low), float(high))
