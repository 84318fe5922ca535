"""Near-duplicates: the nearest other sample of each, where it is far nearer than samples usually are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import Array

AXES, BLOCK = 32, 1000
NEAR = 0.05
"""Twins lie within this share of the usual distance between nearest samples."""


def nearest_twins(features: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return every sample's nearest other one and their distance in units of the usual nearest distance.

    features: `(n_samples, n_features)`. Samples are sorted along the principal axis and compared within blocks of
    neighbours, so the cost grows with the data and not with its square; a twin, whose features are nearly equal, lies
    in the same or the next block unless a thousand others lie between. The nearest is -1 where there is no other.
    """
    points = _principal(np.asarray(features, dtype=np.float32))
    order = np.argsort(points[:, 0], kind="stable")
    nearest, distance = np.full(len(points), -1, dtype=np.int64), np.full(len(points), np.inf)
    for start in range(0, len(order), BLOCK):
        here, near = order[start : start + BLOCK], order[max(0, start - BLOCK) : start + 2 * BLOCK]
        squared = (points[here] ** 2).sum(1)[:, None] + (points[near] ** 2).sum(1) - 2 * points[here] @ points[near].T
        squared[here[:, None] == near] = np.inf
        best = squared.argmin(axis=1)
        nearest[here], distance[here] = near[best], np.linalg.norm(points[here] - points[near[best]], axis=1)
    if len(points) < 2:
        return np.full(len(points), -1, dtype=np.int64), distance
    usual = float(np.median(distance[distance > 0])) if (distance > 0).any() else 1.0
    return nearest, distance / usual


def _principal(features: Array) -> Array:
    centred = features - features.mean(axis=0)
    axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))[1]
    projected: Array = centred @ axes[:, ::-1][:, :AXES].astype(np.float32)
    return projected
