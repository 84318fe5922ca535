"""Near-duplicates: the nearest other sample of each, where it is far nearer than samples usually are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import Array

AXES, BLOCK = 32, 1000
NEAR = 0.2
"""Twins lie within this share of the usual distance between nearest samples; a photograph saved again does."""
CHANCE = 1e-4
"""And nearer than this share of samples would lie by chance, which tells in data of few dimensions."""
NEIGHBOUR, SURVEYED = 10, 5000
"""The usual distance is read off the 10th and 20th neighbours of so many samples: a few copies of each do not move it.
"""
RESOLUTION = 1e-3
"""Distances below this share of the samples' spread are none: identical rows differ in their last digits."""


def nearest_twins(features: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return every sample's twin, -1 without one, and its nearest distance in units of the usual one, `(n_samples,)`.

    features: `(n_samples, n_features)`. Samples are sorted along the principal axis and compared within blocks of
    neighbours, so the cost grows with the data and not with its square; a twin, whose features are nearly equal, lies
    in the same or the next block unless a thousand others lie between. Where all features are equal no one is a twin.
    """
    points = principal(np.asarray(features, dtype=np.float32), count=AXES)
    spread = float(np.median(np.linalg.norm(points, axis=1)))
    nearest, distance = np.full(len(points), -1, dtype=np.int64), np.full(len(points), np.inf)
    if len(points) < 2 or spread < 1e-12:
        return nearest, distance
    order = np.argsort(points[:, 0], kind="stable")
    stride, surveys = len(points) // SURVEYED + 1, []
    for start in range(0, len(order), BLOCK):
        here, near = order[start : start + BLOCK], order[max(0, start - BLOCK) : start + 2 * BLOCK]
        squared = (points[here] ** 2).sum(1)[:, None] + (points[near] ** 2).sum(1) - 2 * points[here] @ points[near].T
        squared[here[:, None] == near] = np.inf
        best = squared.argmin(axis=1)
        nearest[here], distance[here] = near[best], np.linalg.norm(points[here] - points[near[best]], axis=1)
        surveys.append(_farther(squared[::stride]))
    usual, dimensions = _usual(np.concatenate(surveys), RESOLUTION * spread)
    limit = usual * min(NEAR, (CHANCE / np.log(2)) ** (1 / dimensions))
    return np.where(distance < limit, nearest, -1), distance / usual


def _farther(squared: Array) -> NDArray[np.float64]:
    """Distances to the 10th and the 20th neighbour, `(n, 2)`, to the farthest where there are fewer."""
    places = np.minimum([NEIGHBOUR - 1, 2 * NEIGHBOUR - 1], squared.shape[1] - 2)
    chosen = np.partition(squared, np.unique(places), axis=1)[:, places]
    distances: NDArray[np.float64] = np.sqrt(np.maximum(chosen, 0), dtype=np.float64)
    return distances


def _usual(distances: NDArray[np.float64], least: float) -> tuple[float, float]:
    """The median distance to the nearest sample had none a twin, at least `least`, and the data's dimensions.

    In d dimensions twice as many neighbours lie within 2^(1/d) times the distance, and the nearest, in the median, at
    (log 2 / 10)^(1/d) times the distance of the 10th.
    """
    distances = distances[distances[:, 0] > least]
    if not len(distances):
        return least, 1.0
    tenth, twentieth = np.median(distances, axis=0)
    dimensions = float(np.log(2) / max(np.log(twentieth / tenth), 0.02))
    return max(float(tenth) * (np.log(2) / NEIGHBOUR) ** (1 / dimensions), least), dimensions


def principal(features: Array, *, count: int) -> Array:
    """The features, centred, on their leading principal axes, `(n_samples, ≤ count)`."""
    centred = features - features.mean(axis=0)
    axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))[1]
    projected: Array = centred @ axes[:, ::-1][:, :count].astype(np.float32)
    return projected
