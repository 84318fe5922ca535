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
SURE = 0.9
"""The share of wrong numbers is no smaller than those that are wrong with at least this probability."""
RARELY_SURE = 0.02
"""Where fewer numbers of other rows than these would be sure to be wrong, how many there are is told by nothing."""
NEAR = 0.3
"""Of another row's numbers that show, this share is nearest: by how many are so near, all of them are counted."""
MOST = 0.5
"""Of the numbers may be another row's."""
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
    interval begins with those that are surely wrong. It ends with the largest rate of a plausible core, or, if more,
    with as many as there are where the surely wrong that may be another row's are those of them that show: the others
    lie where right numbers do. Each with the chance in so many samples at 90 %.
    """
    anywhere = np.full(len(residuals), 1 / max(float(np.ptp(residuals)), 1e-12))
    kinds = np.stack([anywhere] if others is None else [_normal(residuals, others), anywhere])
    fits = [_Fit.of(residuals, kinds, tail) for tail in TAILS]
    best = max(fits, key=lambda fit: fit.likelihood)
    probability = best.probability(residuals, kinds)
    rate = float(best.shares.sum())
    sure = probability > SURE
    seen = float(sure.mean())
    most = max(float(fit.shares.sum()) for fit in fits if fit.likelihood >= best.likelihood - PLAUSIBLE)
    high = most + _chance(most, len(residuals))
    if others is not None:
        shows = best.probability(others, np.stack([_normal(others, others), anywhere])) > SURE
        near = sure & (np.abs(residuals) <= (np.quantile(np.abs(others[shows]), NEAR) if shows.any() else np.inf))
        of_others = min(float(near.mean()) / NEAR, seen)
        shown = max(float(shows.mean()), RARELY_SURE)
        high = max(high, seen - of_others + min((of_others + _chance(seen, len(residuals))) / shown, MOST))
    low = max(min(seen, rate) - _chance(seen, len(residuals)), 0.0)
    return ResidualMixture(rate, low, float(min(high, 1.0)), probability)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A Student-t core of a scale and tails, and the shares of the kinds of wrong numbers, `(n_kinds,)`."""

    likelihood: float
    shares: Values
    scale: float
    tail: float

    @classmethod
    def of(cls, residuals: Values, kinds: Values, tail: float) -> _Fit:
        """The likeliest scale and shares. kinds: densities of each kind at the residuals, `(n_kinds, n_samples)`."""
        scale = max(TO_SIGMA * float(np.median(np.abs(residuals))), 1e-12)
        fit = cls(0.0, np.full(len(kinds), START), scale, tail)
        for _ in range(STEPS):
            core, wrong = fit._densities(residuals, kinds)
            total = core + wrong.sum(axis=0)
            right = core / total
            weights = right * (tail + 1) / (tail + (residuals / fit.scale) ** 2)
            scale = max(float(np.sqrt(weights @ residuals**2 / max(right.sum(), 1e-12))), 1e-12)
            fit = cls(float(np.log(total).sum()), (wrong / total).mean(axis=1), scale, tail)
        return fit

    def probability(self, residuals: Values, kinds: Values) -> Values:
        """Each residual's probability of being a wrong number's, `(n_samples,)`."""
        core, wrong = self._densities(residuals, kinds)
        result: Values = 1 - core / (core + wrong.sum(axis=0))
        return result

    def _densities(self, residuals: Values, kinds: Values) -> tuple[Values, Values]:
        from scipy.special import gammaln

        tail = self.tail
        constant = np.exp(gammaln((tail + 1) / 2) - gammaln(tail / 2)) / np.sqrt(tail * np.pi) / self.scale
        core = constant * (1 + (residuals / self.scale) ** 2 / tail) ** (-(tail + 1) / 2)
        return (1 - self.shares.sum()) * core, self.shares[:, None] * kinds


def _normal(residuals: Values, others: Values) -> Values:
    spread = max(TO_SIGMA * float(np.median(np.abs(others))), 1e-12)
    return np.asarray(np.exp(-0.5 * (residuals / spread) ** 2) / (spread * np.sqrt(2 * np.pi)))


def _chance(share: float, count: int) -> float:
    """Half of the interval of a share; of none, as of one."""
    share = max(share, 1 / count)
    return NORMAL_90 * float(np.sqrt(share * (1 - share) / count))
