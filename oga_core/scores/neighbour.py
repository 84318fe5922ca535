"""Nearest neighbours: do samples that look alike, or pull the model alike, carry the same label?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oga_core.gradient_sketch import Array, GradientSketch
from oga_core.scores.common import Indices, Values, canonical_order

NEIGHBOURS, REFERENCES, ROWS = 30, 4000, 1024
"""Neighbours are sought among at most this many samples, so that the cost grows with the data, not its square."""


def feature_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 nearest samples in feature space (cosine) with another label, `(n_samples,)` in 0 to 1.

    Features averaged over views where there are any. Zhu et al. 2022, arXiv 2110.06283; Wilson, IEEE SMC 1972.
    """
    features = sketch.features if sketch.view_features is None else sketch.view_features
    assert features is not None, "the registry asks for features"
    return _disagreement(np.asarray(features), sketch)


def gradient_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 nearest gradients (cosine of sketches) whose samples have another label, `(n_samples,)`, 0 to 1.

    Gradients of the same mistake point the same way whatever the label; Zhu et al. 2022, arXiv 2110.06283.
    """
    return _disagreement(np.asarray(sketch.sketch), sketch)


def distances_to_references(points: Array | Values, order: Indices, *, count: int) -> Values:
    """Mean Euclidean distance to the `count` nearest other reference points, `(n_samples,)`."""
    references = _references(order)
    count = min(count, max(1, len(references) - 1))
    points = points.astype(np.float64)
    squares = np.einsum("ij,ij->i", points, points)
    result = np.zeros(len(points))
    for rows in _blocks(len(points)):
        squared = squares[rows, None] + squares[references] - 2 * points[rows] @ points[references].T
        squared[rows[:, None] == references] = np.inf
        nearest = np.partition(squared, min(count, squared.shape[1]) - 1, axis=1)[:, :count]
        result[rows] = np.sqrt(np.maximum(np.where(np.isfinite(nearest), nearest, 0), 0)).mean(axis=1)
    return result


def _disagreement(points: Array, sketch: GradientSketch) -> Values:
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    references, labels = _references(canonical_order(sketch)), sketch.given_labels
    count = min(NEIGHBOURS, max(1, len(references) // 10))
    result = np.zeros(len(points))
    for rows in _blocks(len(points)):
        similarity = points[rows] @ points[references].T
        similarity[rows[:, None] == references] = -np.inf
        nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        result[rows] = (labels[references[nearest]] != labels[rows, None]).mean(axis=1)
    return result


def _references(order: Indices) -> Indices:
    spread = np.linspace(0, len(order) - 1, min(len(order), REFERENCES)).astype(np.int64)
    return order[spread]


def _blocks(n_samples: int) -> Iterator[Indices]:
    for start in range(0, n_samples, ROWS):
        yield np.arange(start, min(start + ROWS, n_samples))
