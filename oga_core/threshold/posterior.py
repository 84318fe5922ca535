"""How the probability of being bad runs over the ranks: draws from its posterior, given decisions on some samples.

On the logit scale a line plus a random walk, with a prior centred on the probabilities that the run gives its labels,
or without them on the estimated noise rate. The posterior is sampled around its mode from a wider distribution and
re-weighted, so that intervals hold with few decisions too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit, ndtri

from oga_core.numerics import Indices, Values

DRAWS = 800
"""Curves kept; 40 lie beyond each end of a 90 % interval, which places the end to a tenth of its distance."""
KNOTS = 16
LOWEST_KNOT = -2.2
HIGHEST_KNOT = 3.3
"""Steps of the random walk, over normal scores of the rank: from the 1.4 % least to the 0.05 % most suspicious."""
DEGREES_OF_FREEDOM = 6
"""Of the t distribution that draws are proposed from: tails heavier than the posterior's keep the weights bounded."""
SLOPE = 1.8
LINE_SPREAD = 1.2
"""Prior of the line: a score that is worth having, from almost useless (one spread less) to nearly perfect."""
CENTRED_MEAN = np.array([0.0, 0.2])
CENTRED_SPREAD = np.array([1.2, 0.45])
"""Prior of the level of calibrated probabilities, and of how much steeper than they the truth is, on the logit scale.
The level is left to the noise rate. From problem to problem the evidence of the same ensemble is worth 0.4 to 2.8 times
what it is taken for. Learnt from the truth of 70 problems drawn at random (`tests/benchmarks/random_sets.py` with seed
1007, draw 1000), so that with `RATE_SPREAD` nine in ten intervals of the precision cover; others judge it."""
NOISE_RATE_SPREAD = 0.5
"""How far the noise rate may be from its estimate, on the log scale; it ties down what no decision has shown."""
RATE_SPREAD = 0.95
"""The same as a share of what each end of the run's own interval of the rate is away from its estimate: where classes
overlap or the model has learnt its labels, the upper end is up to twice the estimate, and the lower end is 0 where all
that contradicts the labels may be ambiguity. Learnt from the same problems, with the upper end."""
LEAST_RATE_SPREAD = 0.1
"""No estimate of the rate is surer than this, however narrow its interval."""
LOWEST_CHANCE = 0.002
"""A probability of 0 or 1 could not be moved by decisions."""
LOWEST_RATE = 0.005
HIGHEST_RATE = 0.8
"""A prior centred on no noise at all, or on nothing but noise, could not be moved by decisions."""
ROUGHNESS = {0.2: 0.3, 0.5: 0.3, 1.0: 0.25, 2.4: 0.15}
"""Spread of the random walk between neighbouring knots and its prior; the data choose among them by their evidence."""
CENTRED_ROUGHNESS = {0.05: 0.5, 0.2: 0.3, 0.5: 0.15, 1.0: 0.05}
"""The same around probabilities that are calibrated, which leave less to the walk."""
NEWTON_STEPS = 50
SMALLEST_STEP = 1e-3
CONVERGED = 1e-6


@dataclass(frozen=True, eq=False)
class Decisions:
    """Counts of each bin of ranks, `(n_bins,)`: bad among the reviewed, reviewed, and a basis of curves over the bins.

    basis: `(n_bins, 2 + knots)`. centre: the logit that curves are added to, `(n_bins,)`, 0 where nothing is known.
    """

    bad: Values
    reviewed: Values
    basis: Values
    centre: Values

    def curve(self, weights: Values) -> Values:
        """The logit of the probability of being bad over the bins, `(..., n_bins)`."""
        logits: Values = self.centre + weights @ self.basis.T
        return logits

    def log_likelihood(self, weights: Values) -> Values:
        """Log probability of the decisions, `(...)`, by curves with the weights `(..., 2 + knots)`."""
        value = self.curve(weights)
        fit: Values = log_expit(value) @ self.bad + log_expit(-value) @ (self.reviewed - self.bad)
        return fit


@dataclass(frozen=True, eq=False)
class Prior:
    """A normal distribution of a curve's weights: mean `(2 + knots,)`, precision `(2 + knots, 2 + knots)`."""

    mean: Values
    precision: Values

    def log_density(self, weights: Values) -> Values:
        """Up to what is the same for all priors, `(...)`."""
        away = weights - self.mean
        _, log_determinant = np.linalg.slogdet(self.precision)
        density: Values = 0.5 * log_determinant - 0.5 * np.einsum("...i,ij,...j->...", away, self.precision, away)
        return density


def sample_curves(
    bad: Values,
    reviewed: Values,
    size: Indices,
    noise_rate: float,
    random: np.random.Generator,
    probability: Values | None = None,
    noise_range: tuple[float, float] | None = None,
) -> Values:
    """Curves of the probability of being bad over the bins of ranks, `(DRAWS, n_bins)`, all equally likely.

    bad, reviewed: `(n_bins,)` counts of decisions. size: `(n_bins,)` samples in each bin. noise_rate: 0 to 1, the
    estimate before any decision. probability: `(n_bins,)` of being bad, before any decision; None where it is unknown.
    noise_range: the lower and upper end of the noise rate, where the same evidence gives them.
    """
    centre = np.zeros(len(size))
    if probability is not None:
        centre = log_odds(probability)
    decisions = Decisions(bad, reviewed, _basis(size, None if probability is None else centre), centre)
    rate = noise_rate if probability is None else float(probability @ size / size.sum())
    below, above = _rate_spreads(rate, None if probability is None else noise_range)
    curves: list[Values] = []
    log_weights: list[Values] = []
    for roughness, share in (ROUGHNESS if probability is None else CENTRED_ROUGHNESS).items():
        prior = _prior(decisions.basis, None if probability is not None else rate, roughness)
        draws, weights = _sample(decisions, prior, random)
        curve = expit(decisions.curve(draws))
        off = np.log(curve @ size / size.sum() / _clipped(rate))
        off /= np.where(off < 0, below, above)
        curves.append(curve)
        log_weights.append(weights + np.log(share) - 0.5 * off**2)
    joined = np.concatenate(log_weights)
    weights = np.exp(joined - joined.max())
    some = random.choice(len(weights), size=DRAWS, p=weights / weights.sum())
    return np.concatenate(curves)[some]


def log_odds(probability: Values) -> Values:
    """The logit of probabilities, of 0 and 1 as of what is nearest to them and can be moved by decisions."""
    odds: Values = logit(np.clip(probability, LOWEST_CHANCE, 1 - LOWEST_CHANCE))
    return odds


def _basis(size: Indices, centre: Values | None) -> Values:
    """Constant, line and random-walk steps over the normal score of the rank, `(n_bins, 2 + knots)`.

    centre: what curves are centred on takes the place of the line: its multiples are steeper and flatter curves.
    """
    middle = (np.cumsum(size) - size / 2) / size.sum()
    x = -ndtri(middle)  # the most suspicious have the largest x
    knots = np.linspace(LOWEST_KNOT, HIGHEST_KNOT, KNOTS)
    steps = np.clip((x[:, None] - knots) / (knots[1] - knots[0]), 0, 1)
    line = x if centre is None else centre - centre @ size / size.sum()
    return np.column_stack([np.ones_like(x), line, steps - steps.mean(axis=0)])


def _prior(basis: Values, noise_rate: float | None, roughness: float) -> Prior:
    """The mean curve averages to the noise rate; None: it is what the decisions are centred on."""
    mean = np.zeros(basis.shape[1])
    mean[:2] = CENTRED_MEAN
    deviation = np.full(basis.shape[1], roughness)
    deviation[:2] = CENTRED_SPREAD
    if noise_rate is not None:
        rate = _clipped(noise_rate)
        mean[0] = _root(lambda level: float(expit(level + SLOPE * basis[:, 1]).mean()) - rate)
        mean[1] = SLOPE
        deviation[:2] = LINE_SPREAD
    return Prior(mean, np.diag(1 / deviation**2))


def _rate_spreads(rate: float, noise_range: tuple[float, float] | None) -> tuple[float, float]:
    """How far the noise rate may be below and above what is expected, on the log scale."""
    if noise_range is None:
        return NOISE_RATE_SPREAD, NOISE_RATE_SPREAD
    away = np.abs(np.log([_clipped(end) / _clipped(rate) for end in noise_range]))
    below, above = np.maximum(RATE_SPREAD * away, LEAST_RATE_SPREAD).tolist()
    return below, above


def _clipped(noise_rate: float) -> float:
    return float(np.clip(noise_rate, LOWEST_RATE, HIGHEST_RATE))


def _root(function: Callable[[float], float]) -> float:
    return float(brentq(function, -30, 30))


def _sample(decisions: Decisions, prior: Prior, random: np.random.Generator) -> tuple[Values, Values]:
    """Draws around the posterior mode from a multivariate t, with their log importance weights (evidence included)."""

    def log_posterior(weights: Values) -> Values:
        return decisions.log_likelihood(weights) + prior.log_density(weights)

    mode, curvature = _mode(decisions, prior, log_posterior)
    factor = np.linalg.cholesky(np.linalg.inv(curvature))
    dimensions = len(mode)
    normal = random.standard_normal((DRAWS, dimensions))
    scale = np.sqrt(DEGREES_OF_FREEDOM / random.chisquare(DEGREES_OF_FREEDOM, size=DRAWS))
    draws = mode + (normal * scale[:, None]) @ factor.T
    distance = (normal**2).sum(axis=1) * scale**2
    tails = -0.5 * (DEGREES_OF_FREEDOM + dimensions) * np.log1p(distance / DEGREES_OF_FREEDOM)
    return draws, log_posterior(draws) - tails + np.log(np.diag(factor)).sum()


def _mode(decisions: Decisions, prior: Prior, log_posterior: Callable[[Values], Values]) -> tuple[Values, Values]:
    """Posterior mode by damped Newton steps, and the curvature there."""
    weights = prior.mean.copy()
    for _ in range(NEWTON_STEPS):
        slope, curvature = _derivatives(decisions, prior, weights)
        step = np.linalg.solve(curvature, slope)
        length = 1.0
        while length > SMALLEST_STEP and log_posterior(weights + length * step) < log_posterior(weights):
            length /= 2
        weights = weights + length * step
        if np.abs(step).max() < CONVERGED:
            break
    return weights, _derivatives(decisions, prior, weights)[1]


def _derivatives(decisions: Decisions, prior: Prior, weights: Values) -> tuple[Values, Values]:
    """Slope of the log posterior and minus its second derivative."""
    basis = decisions.basis
    p = expit(decisions.curve(weights))
    slope = basis.T @ (decisions.bad - decisions.reviewed * p) - prior.precision @ (weights - prior.mean)
    spread = decisions.reviewed * p * (1 - p)
    return slope, (basis * spread[:, None]).T @ basis + prior.precision
