"""Isolation Forest on gradients that are never built: a feature is a product of two columns, made when a split asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Values, slices

SUBSAMPLE = 256
CONSTANT = 1e-7
"""A feature whose range in a node is no larger is constant there, as in scikit-learn."""
DRAWS = 256
"""A node in which this many random features in a row are constant is a leaf for good."""
ROWS = 512
TREES_AT_ONCE = 50
"""Samples and trees that go down together: few enough for the processor's cache."""


@dataclass(frozen=True)
class Features:
    """The matrix of products `left[i, c] * right[i, j]` in column c · right.shape[1] + j; without left, `right`."""

    right: Array
    left: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """`(n_samples, n_features)`."""
        return len(self.right), self.right.shape[1] * (1 if self.left is None else self.left.shape[1])

    def rows(self, which: slice | Indices) -> Features:
        """Some rows, contiguous in memory."""
        left = None if self.left is None else np.ascontiguousarray(self.left[which], dtype=np.float32)
        return Features(np.ascontiguousarray(self.right[which], dtype=np.float32), left)

    def values(self, rows: Indices, columns: Indices) -> Array:
        """Entries at `rows` and `columns`, which broadcast."""
        return self.products(rows, *np.divmod(columns, self.right.shape[1]))

    def products(self, rows: Indices, left: Indices, right: Indices) -> Array:
        """Entries at `rows` and columns given as pairs."""
        values: Array = self.right.reshape(-1).take(rows * self.right.shape[1] + right)
        if self.left is not None:
            values *= self.left.reshape(-1).take(rows * self.left.shape[1] + left)
        return values


@dataclass(frozen=True)
class Level:
    """One level of all trees: node k's children are nodes 2k and 2k + 1 of the next; a leaf passes everything to 2k."""

    left: Indices
    right: Indices
    threshold: Array


@dataclass(frozen=True)
class Trees:
    """Trees of one depth, side by side; `path_length` is that of the nodes below the last level."""

    levels: list[Level]
    path_length: Values

    def path_lengths(self, features: Features) -> Values:
        """Path length of every sample, summed over the trees, `(n_samples,)`."""
        import torch  # for how many threads the process may use; the dashboard does not need it

        # Threads, since next to all of it is NumPy, which lets others work meanwhile.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            blocks = threads.map(partial(self._path_lengths, features), slices(len(features.right), ROWS))
            return np.concatenate([np.zeros(0), *blocks])

    def _path_lengths(self, features: Features, block: slice) -> Values:
        part = features.rows(block)
        rows = np.arange(len(part.right))[:, None]
        n_trees = len(self.levels[0].threshold)
        node = np.broadcast_to(np.arange(n_trees), (len(rows), n_trees))
        for level in self.levels:
            values = part.products(rows, level.left.take(node), level.right.take(node))
            node = 2 * node + (values > level.threshold.take(node))
        lengths: Values = self.path_length.take(node).sum(axis=1)
        return lengths


def isolation_forest_scores(
    features: Features, n_trees: int, *, subsample: int = SUBSAMPLE, seed: int = 0, fitted_on: Indices | None = None
) -> Values:
    """Return the anomaly score 2^(-mean path length / expected path length), `(n_samples,)`, 0 to 1, high for outliers.

    Equals scikit-learn's `-score_samples` in distribution. Memory does not grow with the number of features or trees.
    fitted_on: rows from which the trees' subsamples are drawn (all). Liu, Ting and Zhou, Isolation Forest, ICDM 2008.
    """
    n_samples = len(features.right)
    generator = np.random.default_rng(seed)
    fitted_on = np.arange(n_samples) if fitted_on is None else fitted_on
    subsample = min(subsample, len(fitted_on))
    total = np.zeros(n_samples)
    for size in _blocks(n_trees, TREES_AT_ONCE):
        drawn = np.stack([fitted_on[generator.choice(len(fitted_on), subsample, replace=False)] for _ in range(size)])
        total += _grow(features, drawn, generator).path_lengths(features)
    expected = max(float(_average_path_length(np.array([subsample]))[0]), 1.0)
    scores: Values = 2.0 ** (-total / n_trees / expected)
    return scores


def _grow(features: Features, drawn: Indices, generator: np.random.Generator) -> Trees:
    """Grow one tree on each row of `drawn`, `(n_trees, subsample)`, all trees level by level."""
    n_trees, subsample = drawn.shape
    part = features.rows(drawn.reshape(-1))
    rows = np.arange(drawn.size)
    node = np.repeat(np.arange(n_trees), subsample)
    depth = np.zeros(n_trees)
    grows = np.ones(n_trees, dtype=bool)
    levels: list[Level] = []
    for _ in range(max(1, int(np.ceil(np.log2(max(subsample, 2)))))):
        if levels and not grows.any():
            break
        column, threshold, values = _split(part, rows, node, grows, generator)
        is_split = np.isfinite(threshold)
        levels.append(Level(*np.divmod(column, part.right.shape[1]), threshold))
        depth = np.repeat(depth + is_split, 2)
        grows = np.repeat(is_split, 2)
        node = 2 * node + (values > threshold[node])
        order = np.argsort(node, kind="stable")
        rows = rows[order]
        node = node[order]
    return Trees(levels, depth + _average_path_length(np.bincount(node, minlength=len(depth))))


def _split(
    features: Features, rows: Indices, node: Indices, grows: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[Indices, Array, Array]:
    """Draw a feature and a threshold for every node that grows; `node` is sorted. A leaf's threshold is infinite."""
    n_nodes = len(grows)
    column = np.zeros(n_nodes, dtype=np.int64)
    threshold = np.full(n_nodes, np.inf, dtype=np.float32)
    values = np.zeros(len(rows), dtype=np.float32)
    undecided = grows & (np.bincount(node, minlength=n_nodes) > 1)
    for _ in range(DRAWS):
        members = np.flatnonzero(undecided[node])
        if not len(members):
            break
        column[undecided] = generator.integers(features.shape[1], size=int(undecided.sum()))
        values[members] = features.values(rows[members], column[node[members]])
        starts = np.flatnonzero(np.diff(node[members], prepend=-1))
        low = np.minimum.reduceat(values[members], starts)
        high = np.maximum.reduceat(values[members], starts)
        varies = high > low + np.float32(CONSTANT)
        decided = node[members[starts[varies]]]
        between = generator.uniform(low[varies], high[varies]).astype(np.float32)
        threshold[decided] = np.where(between < high[varies], between, low[varies])
        undecided[decided] = False
    return column, threshold, values


def _average_path_length(n_samples: Indices) -> Values:
    """Expected path length of an unsuccessful search in a random binary tree of `n_samples` points."""
    n = np.maximum(n_samples, 3).astype(np.float64)
    length = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(n_samples > 2, length, np.where(n_samples == 2, 1.0, 0.0))


def _blocks(total: int, size: int) -> Iterator[int]:
    yield from (min(size, total - start) for start in range(0, total, size))
