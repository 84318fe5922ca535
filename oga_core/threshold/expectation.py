"""What to expect at a threshold: precision, misses and a stop rule, learnt from the decisions so far.

The probability that a sample is bad is a smooth curve over its rank: on the logit scale a line plus a random walk,
with a prior centred on the estimated noise rate. Its posterior is sampled around the mode and re-weighted, so the
intervals hold with few decisions too. Which samples are reviewed may depend on their scores in any way; within one
score, the reviewed are taken to be like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, ndtri

from oga_core.threshold.ranked import RankedScores

Floats = NDArray[np.float64]

CONFIDENCE = 0.90
_BINS = 400
_KNOTS = 16
_DRAWS = 800
_DEGREES_OF_FREEDOM = 6
# How far the noise rate may be from its estimate, on the log scale; it ties down what no decision has shown.
_NOISE_RATE_SPREAD = 0.5
# Spread of the random walk between neighbouring knots and its prior; the data choose among them by their evidence.
_ROUGHNESS = {0.2: 0.3, 0.5: 0.3, 1.0: 0.25, 2.4: 0.15}


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
        reviewed: NDArray[np.int64],
        bad: NDArray[np.bool_],
        *,
        noise_rate: float = 0.1,
        seed: int = 0,
    ):
        self.scores = scores
        self.reviewed, self.bad = np.asarray(reviewed, dtype=np.int64), np.asarray(bad, dtype=bool)
        self._random = np.random.default_rng(seed)
        n_bins = min(_BINS, len(scores))
        self._bin_of_rank = (np.arange(len(scores)) * n_bins) // len(scores)
        bins = self._bin_of_rank[scores.ranks[self.reviewed]]
        self._reviewed_in_bin = np.bincount(bins, minlength=n_bins)
        self._bad_in_bin = np.bincount(bins[self.bad], minlength=n_bins)
        size = np.bincount(self._bin_of_rank, minlength=n_bins)
        self._unreviewed_in_bin = size - self._reviewed_in_bin
        curves, weights = _posterior(
            self._bad_in_bin.astype(float), self._reviewed_in_bin.astype(float), size, noise_rate, self._random
        )
        self._curves = curves[self._random.choice(len(curves), size=_DRAWS, p=weights)]  # (draws, bins)
        self._bad_draws = self._random.binomial(self._unreviewed_in_bin, self._curves)  # (draws, bins)

    def probability(self) -> Floats:
        """Expected probability of being bad for every sample, `(n_samples,)`; 0 or 1 where it was reviewed."""
        by_rank = self._curves.mean(axis=0)[self._bin_of_rank]
        probability: Floats = by_rank[self.scores.ranks]
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

    def to_review(self, count: int) -> NDArray[np.int64]:
        """Positions of the unreviewed samples whose verdicts shrink the intervals fastest, drawn at random.

        Scores are drawn by their share in the spread of the number of bad samples (Neyman allocation); a few come
        from everywhere, so that misses are found where nobody expects them.
        """
        p = self._curves.mean(axis=0)
        spread = self._unreviewed_in_bin * np.sqrt(p * (1 - p) + self._curves.var(axis=0))
        share = 0.85 * spread / max(spread.sum(), 1e-12) + 0.15 * self._unreviewed_in_bin / max(
            self._unreviewed_in_bin.sum(), 1
        )
        open_ranks = np.ones(len(self.scores), dtype=bool)
        open_ranks[self.scores.ranks[self.reviewed]] = False
        candidates = np.flatnonzero(open_ranks)
        bins = self._bin_of_rank[candidates]
        weight = share[bins] / self._unreviewed_in_bin[bins]
        size = min(count, len(candidates))
        if not size:
            return np.empty(0, dtype=np.int64)
        chosen = self._random.choice(candidates, size=size, replace=False, p=weight / weight.sum())
        return self.scores.order[chosen]

    def _bad_among_first(self, flagged: int) -> Floats:
        """Bad samples among the first `flagged` ranks in every draw, `(draws,)`."""
        known = float(self.bad[self.scores.ranks[self.reviewed] < flagged].sum())
        if flagged == 0:
            return np.zeros(_DRAWS)
        last = int(self._bin_of_rank[flagged - 1])
        whole = self._bad_draws[:, :last].sum(axis=1)
        inside = flagged - int(np.searchsorted(self._bin_of_rank, last))
        size = int(self._unreviewed_in_bin[last] + self._reviewed_in_bin[last])
        return known + whole + self._bad_draws[:, last] * (inside / size)


def _posterior(
    bad: Floats, reviewed: Floats, size: NDArray[np.int64], noise_rate: float, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Curves of the probability of being bad over the bins, `(draws, n_bins)`, and their weights."""
    basis = _basis(size)
    curves, log_weights = [], []
    for roughness, prior in _ROUGHNESS.items():
        mean, precision = _prior(basis, noise_rate, roughness)
        draws, weights = _sample(bad, reviewed, basis, mean, precision, random)
        curve = expit(draws @ basis.T)
        off = np.log(curve @ size / size.sum() / _clipped(noise_rate)) / _NOISE_RATE_SPREAD
        curves.append(curve)
        log_weights.append(weights + np.log(prior) - 0.5 * off**2)
    joined = np.concatenate(log_weights)
    weights = np.exp(joined - joined.max())
    return np.concatenate(curves), weights / weights.sum()


def _basis(size: NDArray[np.int64]) -> Floats:
    """Constant, line and random-walk steps over the normal score of the rank, `(n_bins, 2 + knots)`."""
    middle = (np.cumsum(size) - size / 2) / size.sum()
    x = -ndtri(middle)  # the most suspicious have the largest x
    knots = np.linspace(-2.2, 3.3, _KNOTS)
    steps = np.clip((x[:, None] - knots) / (knots[1] - knots[0]), 0, 1)
    return np.column_stack([np.ones_like(x), x, steps - steps.mean(axis=0)])


def _prior(basis: Floats, noise_rate: float, roughness: float) -> tuple[Floats, Floats]:
    """Mean and precision of the weights: the mean curve averages to the noise rate."""
    rate, slope = _clipped(noise_rate), 1.8
    x = basis[:, 1]
    level = _solve(lambda a: float(expit(a + slope * x).mean()) - rate)
    mean = np.zeros(basis.shape[1])
    mean[:2] = level, slope
    deviation = np.full(basis.shape[1], roughness)
    deviation[:2] = 1.2, 1.2
    return mean, np.diag(1 / deviation**2)


def _clipped(noise_rate: float) -> float:
    return float(np.clip(noise_rate, 0.005, 0.8))


def _solve(function: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, -30, 30))


def _sample(
    bad: Floats, reviewed: Floats, basis: Floats, mean: Floats, precision: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draws around the posterior mode from a multivariate t, with their log importance weights (evidence included)."""

    def log_posterior(weights: Floats) -> Floats:
        value = weights @ basis.T
        fit = log_expit(value) @ bad + log_expit(-value) @ (reviewed - bad)
        away = weights - mean
        _, log_determinant = np.linalg.slogdet(precision)
        return fit - 0.5 * np.einsum("...i,ij,...j->...", away, precision, away) + 0.5 * log_determinant

    mode, curvature = _mode(bad, reviewed, basis, mean, precision, log_posterior)
    factor = np.linalg.cholesky(np.linalg.inv(curvature))
    dimensions, freedom = len(mode), _DEGREES_OF_FREEDOM
    normal = random.standard_normal((_DRAWS, dimensions))
    scale = np.sqrt(freedom / random.chisquare(freedom, size=_DRAWS))
    draws = mode + (normal * scale[:, None]) @ factor.T
    distance = (normal**2).sum(axis=1) * scale**2
    log_proposal = -0.5 * (freedom + dimensions) * np.log1p(distance / freedom) - np.log(np.diag(factor)).sum()
    return draws, log_posterior(draws) - log_proposal


def _mode(
    bad: Floats,
    reviewed: Floats,
    basis: Floats,
    mean: Floats,
    precision: Floats,
    log_posterior: Callable[[Floats], Floats],
) -> tuple[Floats, Floats]:
    """Posterior mode by damped Newton steps, and the curvature there."""
    weights = mean.copy()
    for _ in range(50):
        p = expit(basis @ weights)
        gradient = basis.T @ (bad - reviewed * p) - precision @ (weights - mean)
        curvature = (basis * (reviewed * p * (1 - p))[:, None]).T @ basis + precision
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while length > 1e-3 and log_posterior(weights + length * step) < log_posterior(weights):
            length /= 2
        weights = weights + length * step
        if np.abs(step).max() < 1e-6:
            break
    p = expit(basis @ weights)
    return weights, (basis * (reviewed * p * (1 - p))[:, None]).T @ basis + precision


def _interval(draws: Floats) -> Interval:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(draws.mean()), float(low), float(high))
