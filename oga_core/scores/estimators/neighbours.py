"""Nearest neighbours among reference points, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from oga_core.numerics import Array, Indices, Rows, Values, room, slices

ROWS = 1024
"""Points compared with all references at once."""
SEARCHED_AT_ONCE = 16_384
"""Points whose nearest references are kept at once."""


def neighbour_logits(points: Array, references: Array, labels: Indices, n_classes: int, *, count: int) -> Array:
    """Log share of each class among the `count` nearest references over its share of all, `(n_points, n_classes)`."""
    count = min(count, len(references))
    shares = (np.bincount(labels, minlength=n_classes) + 1.0) / len(labels)
    squares = np.einsum("ij,ij->i", references, references)
    result = np.empty((len(points), n_classes), dtype=np.float32)
    for part in slices(len(points), ROWS):
        farness = squares - 2 * points[part] @ references.T
        nearest = labels[np.argpartition(farness, count - 1, axis=1)[:, :count]]
        votes = np.stack([(nearest == label).sum(axis=1) for label in range(n_classes)], axis=1)
        result[part] = np.log((votes + 1 / n_classes) / shares)
    return result


def distances_to_references(points: Rows, references: Indices, *, count: int) -> Values:
    """Mean Euclidean distance to the `count` nearest other reference points, `(n_samples,)`.

    references: positions among the points.
    """
    return _of_blocks(points, references, count, lambda block: np.where(np.isfinite(block), block, 0).mean(axis=1))


def distances_to_farthest_neighbour(points: Rows, references: Indices, *, count: int) -> Values:
    """Euclidean distance to the last of the `count` nearest other reference points, `(n_samples,)`.

    references: positions among the points.
    """
    return _of_blocks(points, references, count, lambda block: block[:, -1])


def _of_blocks(points: Rows, references: Indices, count: int, function: Callable[[Values], Values]) -> Values:
    """What the function gives for blocks of the distances to the nearest references, `(n_samples,)`."""
    result: Values = room(len(points), np.float64)
    blocks = _nearest_distances(points, references, count)
    for part, block in zip(slices(len(points), SEARCHED_AT_ONCE), blocks, strict=True):
        result[part] = function(block)
    return result


def _nearest_distances(points: Rows, references: Indices, count: int) -> Iterator[Values]:
    """The ascending distances of blocks of points, infinite where there are no more references."""
    from sklearn.neighbors import NearestNeighbors

    count = min(count, max(1, len(references) - 1))
    # Compares with a heap beside each product, so that the distances of a block are never written out and sorted.
    index = NearestNeighbors(n_neighbors=min(count + 1, len(references)), algorithm="brute").fit(
        np.ascontiguousarray(points[references], dtype=np.float32)
    )
    for part in slices(len(points), SEARCHED_AT_ONCE):
        distances, nearest = index.kneighbors(np.ascontiguousarray(points[part], dtype=np.float32))
        is_itself = references[nearest] == np.arange(*part.indices(len(points)))[:, None]
        yield np.sort(np.where(is_itself, np.inf, distances), axis=1)[:, :count].astype(np.float64)
