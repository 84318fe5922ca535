"""Which residuals are not of the usual kind: a mixture of a Student-t core and two kinds of wrong numbers, by EM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import NORMAL_90, TO_SIGMA, Values

TAILS = (2.5, 4.0, 8.0, 30.0)
"""Degrees of freedom of the core, from heavy tails to nearly normal ones; the likeliest is taken."""
STEPS = 300
"""Of EM; the shares move by less than one part in a thousand long before."""
START = 0.03
"""Of each kind of wrong number."""
PLAUSIBLE = 2.0
"""A core whose log-likelihood is within this of the best is plausible too, and widens the interval."""
LIKELY = 0.5
"""A number is called wrong, and trimmed, where that is likelier than not."""


@dataclass(frozen=True, eq=False)
class ResidualMixture:
    """The share of residuals that are not the core's, 0 to 1, with its interval, and each one's probability of it."""

    rate: float
    low: float
    high: float
    probability: Values


def residual_mixture(residuals: Values, others: Values | None = None) -> ResidualMixture:
    """Fit the mixture to residuals that are divided by what is usual, `(n_samples,)`, centred on 0.

    others: what the residuals would be, had every sample another one's number. Wrong numbers are of that spread, where
    it is known, or anywhere in the range of the residuals. Dempster, Laird and Rubin 1977; Lange et al., JASA 1989. The
    interval begins with those that are likelier wrong than not, and ends with the largest rate of a plausible core,
    each with the chance in so many samples at 90 %. A wrong number that lies where right ones do is told by nothing.
    """
    anywhere = np.full(len(residuals), 1 / max(float(np.ptp(residuals)), 1e-12))
    kinds = np.stack([anywhere] if others is None else [_normal(residuals, others), anywhere])
    fits = [_fit(residuals, kinds, tail) for tail in TAILS]
    best = max(fits, key=lambda fit: fit[0])
    _, rate, probability = best
    likely = float((probability > LIKELY).mean())
    most = max(share for likelihood, share, _ in fits if likelihood >= best[0] - PLAUSIBLE)
    low = max(min(likely, rate) - _chance(likely, len(residuals)), 0.0)
    return ResidualMixture(rate, low, min(most + _chance(most, len(residuals)), 1.0), probability)


def _fit(residuals: Values, kinds: Values, tail: float) -> tuple[float, float, Values]:
    """Log-likelihood, share of wrong numbers and each residual's probability of being one's.

    kinds: densities of each kind of wrong numbers at the residuals, `(n_kinds, n_samples)`.
    """
    from scipy.special import gammaln

    constant = np.exp(gammaln((tail + 1) / 2) - gammaln(tail / 2)) / np.sqrt(tail * np.pi)
    scale = max(TO_SIGMA * float(np.median(np.abs(residuals))), 1e-12)
    shares = np.full(len(kinds), START)
    for _ in range(STEPS):
        squares = (residuals / scale) ** 2
        core = (1 - shares.sum()) * constant / scale * (1 + squares / tail) ** (-(tail + 1) / 2)
        wrong = shares[:, None] * kinds
        total = core + wrong.sum(axis=0)
        each = wrong / total
        probability = each.sum(axis=0)
        weights = (1 - probability) * (tail + 1) / (tail + squares)
        scale = max(float(np.sqrt(weights @ residuals**2 / max((1 - probability).sum(), 1e-12))), 1e-12)
        shares = each.mean(axis=1)
    return float(np.log(total).sum()), float(shares.sum()), probability


def _normal(residuals: Values, others: Values) -> Values:
    spread = max(TO_SIGMA * float(np.median(np.abs(others))), 1e-12)
    return np.asarray(np.exp(-0.5 * (residuals / spread) ** 2) / (spread * np.sqrt(2 * np.pi)))


def _chance(share: float, count: int) -> float:
    return NORMAL_90 * float(np.sqrt(share * (1 - share) / count))
