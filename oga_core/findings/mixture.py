"""Which residuals are not of the usual kind: a mixture of a Student-t core and anything at all, by EM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import NORMAL_90, TO_SIGMA, Values

TAILS = (2.5, 4.0, 8.0, 30.0)
"""Degrees of freedom of the core, from heavy tails to nearly normal ones; the likeliest is taken."""
STEPS = 200
"""Of EM; the share moves by less than one part in a thousand long before."""
START = 0.05
PLAUSIBLE = 2.0
"""A core whose log-likelihood is within this of the best is plausible too, and widens the interval."""


@dataclass(frozen=True, eq=False)
class ResidualMixture:
    """The share of residuals that are not the core's, 0 to 1, with its interval, and each one's probability of it."""

    rate: float
    low: float
    high: float
    probability: Values


def residual_mixture(residuals: Values) -> ResidualMixture:
    """Fit the mixture to residuals that are divided by what is usual, `(n_samples,)`, centred on 0.

    The other part is uniform over the range of the residuals. Dempster, Laird and Rubin 1977; Lange et al., JASA 1989.
    The interval is 90 %: the rates of all plausible cores, and the chance in so many samples.
    """
    fits = [_fit(residuals, tail) for tail in TAILS]
    best = max(fits, key=lambda fit: fit[0])
    rates = [rate for likelihood, rate, _ in fits if likelihood >= best[0] - PLAUSIBLE]
    _, rate, probability = best
    chance = NORMAL_90 * float(np.sqrt(rate * (1 - rate) / len(residuals)))
    return ResidualMixture(rate, max(min(rates) - chance, 0.0), min(max(rates) + chance, 1.0), probability)


def _fit(residuals: Values, tail: float) -> tuple[float, float, Values]:
    """Log-likelihood, share of the uniform part and each residual's probability of it."""
    from scipy.special import gammaln

    uniform = 1 / max(float(np.ptp(residuals)), 1e-12)
    constant = np.exp(gammaln((tail + 1) / 2) - gammaln(tail / 2)) / np.sqrt(tail * np.pi)
    scale = max(TO_SIGMA * float(np.median(np.abs(residuals))), 1e-12)
    rate = START
    for _ in range(STEPS):
        squares = (residuals / scale) ** 2
        core = (1 - rate) * constant / scale * (1 + squares / tail) ** (-(tail + 1) / 2)
        total = core + rate * uniform
        probability = rate * uniform / total
        weights = (1 - probability) * (tail + 1) / (tail + squares)
        scale = max(float(np.sqrt(weights @ residuals**2 / max((1 - probability).sum(), 1e-12))), 1e-12)
        rate = float(probability.mean())
    return float(np.log(total).sum()), rate, probability
