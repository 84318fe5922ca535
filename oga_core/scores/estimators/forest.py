"""Isolation Forest on gradients that are never built: a feature is a product of two columns, made when a split asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Values, in_threads

SUBSAMPLE = 256
CONSTANT = 1e-7
"""A feature whose range in a node is no larger is constant there, as in scikit-learn."""
DRAWS = 256
"""A node in which this many random features in a row are constant is a leaf for good."""
CELLS = 1 << 16
FEWEST_ROWS = 64
TREES_AT_ONCE = 50
"""Numbers, samples and trees that go down together: few enough for the processor's cache, and enough for NumPy."""
COMPILED_FROM = 5000
"""Samples from which on compiling the way down, which takes a second, is less than what it saves."""


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

    def walk(self, part: Features) -> Values:
        """Path length of every row in every tree, `(n_rows, n_trees)`."""
        rows = np.arange(len(part.right))[:, None]
        n_trees = len(self.levels[0].threshold)
        node = np.broadcast_to(np.arange(n_trees), (len(rows), n_trees))
        for level in self.levels:
            values = part.products(rows, level.left.take(node), level.right.take(node))
            node = 2 * node + (values > level.threshold.take(node))
        return self.path_length.take(node)

    def compiled_walk(self) -> Callable[[Features], Values]:
        """What gives the same, bit by bit, in a fifth of the time."""
        from oga_core.scores.compiled import descend

        left, right, threshold = (
            np.concatenate([getattr(level, name) for level in self.levels]) for name in ("left", "right", "threshold")
        )
        columns = left.astype(np.uint32), right.astype(np.uint32)

        def walk(part: Features) -> Values:
            factors = np.ones((len(part.right), 1), dtype=np.float32) if part.left is None else part.left
            lengths = np.empty((len(part.right), len(self.levels[0].threshold)))
            descend(factors, part.right, *columns, threshold, self.path_length, lengths)
            return lengths

        return walk


def isolation_forest_scores(
    features: Features,
    n_trees: int,
    *,
    subsample: int = SUBSAMPLE,
    seed: int = 0,
    fitted_on: Indices | None = None,
    judged: Indices | None = None,
) -> Values:
    """Return the anomaly score 2^(-mean path length / expected path length), `(n_samples,)`, 0 to 1, high for outliers.

    Equals scikit-learn's `-score_samples` in distribution. Memory does not grow with the number of features or trees.
    fitted_on: rows from which the trees' subsamples are drawn (all). judged: rows whose scores are returned (all). Liu,
    Ting and Zhou, Isolation Forest, ICDM 2008.
    """
    n_samples = len(features.right) if judged is None else len(judged)
    generator = np.random.default_rng(seed)
    fitted_on = np.arange(len(features.right)) if fitted_on is None else fitted_on
    subsample = min(subsample, len(fitted_on))
    trees = []
    for size in _blocks(n_trees, TREES_AT_ONCE):
        drawn = np.stack([fitted_on[generator.choice(len(fitted_on), subsample, replace=False)] for _ in range(size)])
        trees.append(_grow(features, drawn, generator))
    walks = [each.walk if n_samples < COMPILED_FROM else each.compiled_walk() for each in trees]

    def lengths(block: slice) -> Values:
        part = features.rows(block if judged is None else judged[block])
        summed: Values = sum((walk(part).sum(axis=1) for walk in walks), np.zeros(len(part.right)))
        return summed

    total = in_threads(lengths, n_samples, max(FEWEST_ROWS, CELLS // features.right.shape[1]))
    expected = max(float(_average_path_length(np.array([subsample]))[0]), 1.0)
    total /= -n_trees * expected
    return np.exp2(total, out=total)


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
