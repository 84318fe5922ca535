"""Near-duplicates: the nearest other sample of each, where it is far nearer than samples usually are."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Array, Indices, Rows, Values, each_in_threads, in_blocks, principal_axes

AXES = 32
"""Of the features, compared: two that differ on the leading ones are no near-duplicates."""
BLOCK = 1000
NEAR = 0.2
"""Near-duplicates lie within this share of the usual distance between neighbours; a photograph saved again does."""
CHANCE = 1e-4
"""And nearer than this share of samples would lie by chance, which tells in data of few dimensions."""
NEIGHBOUR = 10
SURVEYED = 5000
"""The usual distance is read off the 10th and 20th neighbours of so many samples: a few copies of each do not move it.
"""
RESOLUTION = 1e-3
"""Distances below this share of the samples' spread are none: identical rows differ in their last digits."""


def near_duplicates(features: Rows) -> tuple[Indices, Values]:
    """Every sample's near-duplicate, -1 without one, and its nearest distance over the usual one, `(n_samples,)` each.

    features: `(n_samples, n_features)`. Samples are sorted along the principal axis and compared within blocks of
    neighbours, so the cost grows with the data and not with its square; a near-duplicate lies in the same or the next
    block unless a thousand others lie between. Where all features are equal there is none.
    """
    points = np.asarray(principal_axes(features, AXES).project(features), dtype=np.float32)
    spread = float(np.median(in_blocks(lambda part: np.linalg.norm(points[part], axis=1), len(points))))
    nearest: Indices = np.full(len(points), -1, dtype=np.int64)
    distance: Values = np.full(len(points), np.inf)
    if len(points) < 2 or spread < 1e-12:
        return nearest, distance
    order = np.argsort(points[:, 0], kind="stable")
    stride = len(points) // SURVEYED + 1
    surveys = []

    def compared(part: slice) -> tuple[Indices, Indices, Values]:
        here = order[part]
        near = order[max(0, part.start - BLOCK) : part.stop + BLOCK]
        squared = (points[here] ** 2).sum(1)[:, None] + (points[near] ** 2).sum(1) - 2 * points[here] @ points[near].T
        squared[here[:, None] == near] = np.inf
        return here, near[squared.argmin(axis=1)], _farther(squared[::stride])

    for here, best, survey in each_in_threads(compared, len(order), BLOCK):
        nearest[here] = best
        distance[here] = np.linalg.norm(points[here] - points[best], axis=1)
        surveys.append(survey)
    usual, dimensions = _usual(np.concatenate(surveys), RESOLUTION * spread)
    limit = usual * min(NEAR, (CHANCE / np.log(2)) ** (1 / dimensions))
    return np.where(distance < limit, nearest, -1), distance / usual


def _farther(squared: Array) -> Values:
    """Distances to the 10th and the 20th neighbour, `(n, 2)`, to the farthest where there are fewer."""
    places = np.minimum([NEIGHBOUR - 1, 2 * NEIGHBOUR - 1], squared.shape[1] - 2)
    neighbours = np.partition(squared, np.unique(places), axis=1)[:, places]
    distances: Values = np.sqrt(np.maximum(neighbours, 0), dtype=np.float64)
    return distances


def _usual(distances: Values, least: float) -> tuple[float, float]:
    """The median distance to the nearest sample had none a near-duplicate, at least `least`, and the data's dimensions.

    In d dimensions twice as many neighbours lie within 2^(1/d) times the distance, and the nearest, in the median, at
    (log 2 / 10)^(1/d) times the distance of the 10th.
    """
    distances = distances[distances[:, 0] > least]
    if not len(distances):
        return least, 1.0
    tenth, twentieth = np.median(distances, axis=0)
    dimensions = float(np.log(2) / max(np.log(twentieth / tenth), 0.02))
    return max(float(tenth) * (np.log(2) / NEIGHBOUR) ** (1 / dimensions), least), dimensions
