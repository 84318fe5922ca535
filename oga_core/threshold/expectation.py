"""What to expect at a threshold: precision, misses and a stop rule, learnt from the decisions so far.

Which samples are reviewed may depend on their scores in any way; within one score, the reviewed are taken to be like
the others (see `posterior` for how the probability of being bad runs over the ranks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Indices, Values
from oga_core.threshold.posterior import DRAWS, sample_curves
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

    def sentence(self, target: float = 0.95) -> str:
        """The stop rule in plain words."""
        seen = f"90 % confidence at least {100 * self.seen_at_least:.0f} % of what is detrimental has been seen"
        if self.seen_at_least >= target:
            return f"You can stop: with {seen}. {self.unseen_samples:,} samples are left unseen."
        return (
            f"With {seen} ({self.unseen_bad.low:,.0f} to {self.unseen_bad.high:,.0f} bad samples are among the "
            f"{self.unseen_samples:,} left unseen)."
        )


class Expectation:
    """The posterior of how bad every score is, given decisions on some samples.

    reviewed: positions of the samples with a verdict; bad: `(n_reviewed,)` whether each was relabelled or removed
    (a decision "unsure" is no verdict: leave it out). noise_rate: the estimate before any decision, 0 to 1.
    """

    def __init__(
        self,
        scores: RankedScores,
        reviewed: Indices,
        bad: NDArray[np.bool_],
        *,
        noise_rate: float = 0.1,
        seed: int = 0,
    ):
        self.scores = scores
        self.reviewed: Indices = np.asarray(reviewed, dtype=np.int64)
        self.bad: NDArray[np.bool_] = np.asarray(bad, dtype=bool)
        self._random = np.random.default_rng(seed)
        n_bins = min(_BINS, len(scores))
        self._bin_of_rank = (np.arange(len(scores)) * n_bins) // len(scores)
        bins = self._bin_of_rank[scores.ranks[self.reviewed]]
        self._reviewed_in_bin = np.bincount(bins, minlength=n_bins)
        self._bad_in_bin = np.bincount(bins[self.bad], minlength=n_bins)
        size = np.bincount(self._bin_of_rank, minlength=n_bins)
        self._unreviewed_in_bin = size - self._reviewed_in_bin
        self._curves = sample_curves(  # (draws, bins)
            self._bad_in_bin.astype(float), self._reviewed_in_bin.astype(float), size, noise_rate, self._random
        )
        self._bad_draws = self._random.binomial(self._unreviewed_in_bin, self._curves)  # (draws, bins)

    def probability(self) -> Values:
        """Expected probability of being bad for every sample, `(n_samples,)`; 0 or 1 where it was reviewed."""
        by_rank = self._curves.mean(axis=0)[self._bin_of_rank]
        probability: Values = by_rank[self.scores.ranks]
        probability[self.reviewed] = self.bad
        return probability

    def at(self, trim_fraction: float) -> Outlook:
        """What to expect when `trim_fraction` of the samples is trimmed."""
        flagged = self.scores.count(trim_fraction)
        bad_flagged = self._bad_among_first(flagged)
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
            unseen_samples=len(self.scores) - len(self.reviewed),
            unseen_bad=_interval(unseen),
            seen_at_least=float(np.quantile(seen, 1 - CONFIDENCE)),
        )

    def suggest(self, precision: float) -> float:
        """The largest trim_fraction whose expected precision is at least `precision`."""
        means = np.cumsum(self._bad_draws.mean(axis=0) + self._bad_in_bin) / np.cumsum(
            self._unreviewed_in_bin + self._reviewed_in_bin
        )
        enough = np.flatnonzero(means >= precision)
        return float((enough[-1] + 1) / len(means)) if len(enough) else 0.0

    def to_review(self, count: int) -> Indices:
        """Positions of the unreviewed samples whose verdicts shrink the intervals fastest, drawn at random.

        Scores are drawn by their share in the spread of the number of bad samples (Neyman allocation); a few come
        from everywhere, so that misses are found where nobody expects them.
        """
        p = self._curves.mean(axis=0)
        spread = self._unreviewed_in_bin * np.sqrt(p * (1 - p) + self._curves.var(axis=0))
        everywhere = self._unreviewed_in_bin / max(self._unreviewed_in_bin.sum(), 1)
        share = (1 - _ROAMING) * spread / max(spread.sum(), 1e-12) + _ROAMING * everywhere
        open_ranks = np.ones(len(self.scores), dtype=bool)
        open_ranks[self.scores.ranks[self.reviewed]] = False
        candidates = np.flatnonzero(open_ranks)
        bins = self._bin_of_rank[candidates]
        weight = share[bins] / self._unreviewed_in_bin[bins]
        size = min(count, len(candidates))
        if not size:
            return np.empty(0, dtype=np.int64)
        ranks = self._random.choice(candidates, size=size, replace=False, p=weight / weight.sum())
        return self.scores.order[ranks]

    def _bad_among_first(self, flagged: int) -> Values:
        """Bad samples among the first `flagged` ranks in every draw, `(draws,)`."""
        known = float(self.bad[self.scores.ranks[self.reviewed] < flagged].sum())
        if flagged == 0:
            return np.zeros(DRAWS)
        last = int(self._bin_of_rank[flagged - 1])
        whole = self._bad_draws[:, :last].sum(axis=1)
        inside = flagged - int(np.searchsorted(self._bin_of_rank, last))
        size = int(self._unreviewed_in_bin[last] + self._reviewed_in_bin[last])
        return known + whole + self._bad_draws[:, last] * (inside / size)


def _interval(draws: Values) -> Interval:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(draws.mean()), float(low), float(high))
