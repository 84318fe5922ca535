"""Nearest neighbours: do samples that look alike, or pull the model alike, carry the same label?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, Values, evenly_spaced
from oga_core.scores.common import canonical_order

NEIGHBOURS, REFERENCES, ROWS = 30, 4000, 1024
"""Neighbours are sought among at most this many samples, so that the cost grows with the data, not its square."""


def feature_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 nearest samples in feature space with another label: mean_j 1[y_j ≠ y_i], by cosine of h. Zhu et
    al. 2022, arXiv 2110.06283; Wilson, IEEE SMC 1972.

    `(n_samples,)`, 0 to 1; features averaged over views where there are any.
    """
    assert sketch.steady_features is not None, "the registry asks for features"
    return _disagreement(unit_rows(np.asarray(sketch.steady_features)), None, sketch)


def gradient_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 samples nearest in gradient, own labels left out, with another label: mean_j 1[y_j ≠ y_i]. The
    vote is that of Zhu et al. 2022, arXiv 2110.06283.

    `(n_samples,)`, 0 to 1. A head gradient (p - y) ⊗ h holds its label, and neighbours by it agree with themselves.
    So two samples are compared under every label c in turn: mean_c ⟨(p - e_c) ⊗ h, (p' - e_c) ⊗ h'⟩, which is (p·p'
    + 1 - 2 / n_classes) (h·h'), as a cosine.
    """
    p = sketch.probabilities
    label_free = np.full((len(p), 1), np.sqrt(max(1 - 2 / p.shape[1], 0)), dtype=np.float32)
    left = unit_rows(np.concatenate([p, label_free], axis=1))
    return _disagreement(left, None if sketch.features is None else unit_rows(np.asarray(sketch.features)), sketch)


def unit_rows(points: Array) -> Array:
    """Rows scaled to length 1; rows of zeros stay."""
    points = np.asarray(points, dtype=np.float32)
    scaled = points / np.maximum(np.abs(points).max(axis=1, keepdims=True), 1e-30)  # no square overflows
    rows: Array = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    return rows


def neighbour_logits(points: Array, references: Array, labels: Indices, n_classes: int, *, count: int) -> Array:
    """Log share of each class among the `count` nearest references over its share of all, `(n_points, n_classes)`."""
    count = min(count, len(references))
    shares = (np.bincount(labels, minlength=n_classes) + 1.0) / len(labels)
    squares = np.einsum("ij,ij->i", references, references)
    result = np.empty((len(points), n_classes), dtype=np.float32)
    for rows in _blocks(len(points)):
        farness = squares - 2 * points[rows] @ references.T
        nearest = labels[np.argpartition(farness, count - 1, axis=1)[:, :count]]
        votes = np.stack([(nearest == label).sum(axis=1) for label in range(n_classes)], axis=1)
        result[rows] = np.log((votes + 1 / n_classes) / shares)
    return result


def distances_to_references(points: Array | Values, order: Indices, *, count: int) -> Values:
    """Mean Euclidean distance to the `count` nearest other reference points, `(n_samples,)`."""
    references = evenly_spaced(order, REFERENCES)
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


def _disagreement(left: Array, right: Array | None, sketch: GradientSketch) -> Values:
    """Share of other labels among the samples with the largest products left·left' (and right·right')."""
    references = evenly_spaced(canonical_order(sketch), REFERENCES)
    labels = sketch.given_labels
    count = min(NEIGHBOURS, max(1, len(references) // 10))
    result = np.zeros(len(sketch))
    for rows in _blocks(len(sketch)):
        similarity = left[rows] @ left[references].T
        if right is not None:
            similarity *= right[rows] @ right[references].T
        similarity[rows[:, None] == references] = -np.inf
        nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        result[rows] = (labels[references[nearest]] != labels[rows, None]).mean(axis=1)
    return result


def _blocks(n_samples: int) -> Iterator[Indices]:
    for start in range(0, n_samples, ROWS):
        yield np.arange(start, min(start + ROWS, n_samples))
