"""Robust ridge regression in which every sample is judged by a fit that has not seen its number, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import TO_SIGMA, Floats, Values

ROUNDS = 6
"""Reweighted fits; the weights of most samples no longer move after four."""
TUKEY = 4.685
"""Robust standard deviations from which a sample counts for nothing: 95 % efficient for normal errors."""
PENALTIES = np.logspace(-5, 1, 13)
"""Shares of the weight of all samples: from a fit that follows every sample to one that is nearly constant."""
TRUNCATION = 2.5
"""Robust standard deviations above which errors count alike in the choice of a penalty."""
LARGEST_LEVERAGE = 0.99
"""A sample that a fit nearly reproduces has no error left out worth dividing by."""


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """Leave-one-out residuals y - ŷ in the units of y, and the samples' weights, 0 to 1, each `(n_samples,)`."""

    residuals: Values
    weights: Values


def robust_ridge(x: Floats, y: Values) -> RidgeFit:
    """Fit with Tukey's weights, each round's from the residuals of the one before. Beaton and Tukey 1974.

    x: `(n_samples, n_features)`, standardised. The penalty is the one with the smallest truncated sum of squared
    leave-one-out residuals, e / (1 - h); Allen, Technometrics 1974.
    """
    fit = RidgeFit(y - np.median(y), np.ones(len(y)))
    for _ in range(ROUNDS):
        fit = weighted_ridge(x, y, fit.weights)
        fit = RidgeFit(fit.residuals, tukey_weights(fit.residuals))
    return fit


def tukey_weights(residuals: Values) -> Values:
    """Weights from 1 for a residual of zero to 0 for one that is far from it, `(n_samples,)`."""
    scaled = residuals / (TUKEY * spread(residuals))
    return np.where(np.abs(scaled) < 1, (1 - scaled**2) ** 2, 0.0)


def weighted_ridge(x: Floats, y: Values, weights: Values) -> RidgeFit:
    """Fit with given weights and the best penalty; a sample of weight 0 is predicted by the fit of the others."""
    residuals = left_out_residuals(x, y, weights)
    return RidgeFit(residuals[:, _best(residuals)], weights)


def left_out_residuals(x: Floats, y: Values, weights: Values) -> Values:
    """Residuals of every sample by the fit without it, at each of `PENALTIES`, `(n_samples, n_penalties)`."""
    total = weights.sum()
    centred = x - (weights @ x / total).astype(x.dtype)
    offset = float(weights @ y / total)
    weighted = centred * weights[:, None].astype(x.dtype)
    variances, axes = np.linalg.eigh((weighted.T @ centred).astype(np.float64))
    z = (centred @ axes.astype(x.dtype)).astype(np.float64)
    product = z.T @ (weights * (y - offset))
    shrunk = 1 / (np.maximum(variances, 0)[:, None] + PENALTIES * total)
    fitted = z @ (shrunk * product[:, None])
    leverage = weights[:, None] * (z**2 @ shrunk + 1 / total)
    residuals = (y - offset)[:, None] - fitted
    residuals /= 1 - np.minimum(leverage, LARGEST_LEVERAGE)
    return residuals


def spread(residuals: Values) -> float:
    """Robust standard deviation of residuals around zero, above 0."""
    return max(TO_SIGMA * float(np.median(np.abs(residuals))), 1e-12)


def _best(residuals: Values) -> int:
    sizes = np.abs(residuals)
    bound = TRUNCATION * TO_SIGMA * float(np.median(sizes, axis=0).min())
    return int((np.minimum(sizes, bound) ** 2).sum(axis=0).argmin())
