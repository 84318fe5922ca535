"""Distances from the bulk of the data, which a minority, however tight, doesn't pull to itself."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import TO_SIGMA, Floats, Indices, Values, evenly_spaced, slices

KEPT = 0.75
STARTS = 20
BEST = 3
"""Random starts, and those of them that are carried on with all samples."""
FITTED = 100_000
"""Samples that tell a covariance to less than a hundredth."""
SEARCHED = 2000
"""Starts are compared on at most this many samples."""
FIRST_STEPS = 3
LAST_STEPS = 15

Fit = tuple[Values, Values]
"""Centre `(n_axes,)` and covariance `(n_axes, n_axes)`."""


def robust_distances(points: Floats, order: Indices, seed: int) -> Values:
    """Mahalanobis distances by the minimum covariance determinant, `(n_samples,)`, at least 0, 0 for a lone sample.

    order: positions in an order that does not depend on that of the data, along which samples are drawn; centre and
    covariance are those of at most 100,000 spread evenly over it. FAST-MCD: concentration steps from median and MAD,
    from mean and covariance, and from random small subsets, on a part of the samples; the best few go on with all.
    Rousseeuw and Van Driessen, Technometrics 1999.
    """
    if len(points) < 2:
        return np.zeros(len(points))
    generator = np.random.default_rng(seed)
    fitted = points[evenly_spaced(order, FITTED)].astype(np.float64)
    few = fitted[generator.choice(len(fitted), min(len(fitted), SEARCHED), replace=False)]
    fits = [_concentrated(few, start, FIRST_STEPS) for start in _starts(few, generator)]
    fits = sorted(fits, key=_volume)[:BEST]
    best = min((_concentrated(fitted, fit, LAST_STEPS) for fit in fits), key=_volume)
    return np.sqrt(_squared_distances(points, best))


def _starts(points: Values, generator: np.random.Generator) -> list[Fit]:
    centre = np.median(points, axis=0)
    deviation = TO_SIGMA * np.median(np.abs(points - centre), axis=0)
    spread = np.where(deviation > 0, deviation, points.std(axis=0))
    drawn = [
        points[generator.choice(len(points), min(len(points), points.shape[1] + 1), replace=False)]
        for _ in range(STARTS)
    ]
    return [(centre, np.diag(spread**2)), _fit(points), *(_fit(few) for few in drawn)]


def _concentrated(points: Values, fit: Fit, steps: int) -> Fit:
    """Fit again and again the samples nearest to the last fit; the determinant never grows."""
    count = max(2, int(np.ceil(KEPT * len(points))))
    volume = np.inf
    for _ in range(steps):
        distances = _squared_distances(points, fit)
        fit = _fit(points[np.argpartition(distances, count - 1)[:count]])
        before = volume
        volume = _volume(fit)
        if volume >= before - 1e-9:
            break
    return fit


def _fit(points: Values) -> Fit:
    centre = points.mean(axis=0)
    centred = points - centre
    covariance: Values = centred.T @ centred / len(points)
    return centre, covariance


def _volume(fit: Fit) -> float:
    """Log determinant of the covariance."""
    return float(np.linalg.slogdet(_ridged(fit[1]))[1])


def _ridged(covariance: Values) -> Values:
    ridge = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-30)
    result: Values = covariance + ridge * np.eye(len(covariance))
    return result


def _squared_distances(points: Floats, fit: Fit) -> Values:
    inverse = np.linalg.inv(_ridged(fit[1]))
    result = np.empty(len(points))
    for part in slices(len(points)):
        centred = points[part] - fit[0]
        result[part] = np.einsum("ij,ij->i", centred @ inverse, centred)
    return np.maximum(result, 0)
