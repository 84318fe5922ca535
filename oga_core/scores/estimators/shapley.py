"""Cooperative games of training samples, and their Shapley values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices

ORDERS = 10
MOST_ROUNDS = 60
TOLERANCE = 0.01
"""Permutations a round, each with its reverse; rounds end when one changes the values by less than this share."""
SHORTEST = 8
AT_ONCE = 64
TRUNCATION = 0.01
PATIENCE = 10
NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class RidgeGame:
    """Samples join a ridge regression with weights W; the utility is minus its mean squared validation error.

    Up to a constant it is 2⟨W, B⟩ - ⟨W, A W⟩, with A and B the validation data's moments, so that no step looks at the
    validation samples themselves.

    features: `(n_samples, width)`. targets: `(n_samples, n_classes)`. moment: A, `(width, width)`. product: B,
    `(width, n_classes)`.
    """

    features: Floats
    targets: Floats
    moment: Floats
    product: Floats

    @classmethod
    def of(cls, features: Floats, targets: Floats, validation: Floats, validation_targets: Floats) -> RidgeGame:
        """The game of training and validation data."""
        entries = validation_targets.size
        return cls(features, targets, validation.T @ validation / entries, validation.T @ validation_targets / entries)

    def full_gain(self) -> float:
        """Utility of all samples minus that of none."""
        gram = self.features.T @ self.features + np.eye(self.features.shape[1])
        weights = np.linalg.solve(gram, self.features.T @ self.targets)
        return float(np.sum(weights * (2 * self.product - self.moment @ weights)))

    def gains(self, orders: Indices) -> Floats:
        """Gain in utility as each sample joins, 0 after the cut, `(n_orders, n_samples)`, in each order of `orders`."""
        n_orders = len(orders)
        width = self.features.shape[1]
        inverse = np.broadcast_to(np.eye(width), (n_orders, width, width)).copy()
        weights = np.zeros((n_orders, width, self.targets.shape[1]))
        gains = np.zeros(orders.shape)
        goal = self.full_gain()
        utility = np.zeros(n_orders)
        settled = np.zeros(n_orders, dtype=np.int64)
        for position in range(orders.shape[1]):
            joining = orders[:, position]
            gain = self._join(inverse, weights, self.features[joining], self.targets[joining])
            gains[:, position] = np.where(settled < PATIENCE, gain, 0)
            utility += gain
            close = np.abs(goal - utility) < TRUNCATION * abs(goal)
            settled = np.where(settled >= PATIENCE, settled, np.where(close, settled + 1, 0))
            if (settled >= PATIENCE).all():
                break
        return gains

    def _join(self, inverse: Floats, weights: Floats, features: Floats, targets: Floats) -> Floats:
        """Add one sample to each order's regression, in place, by Sherman and Morrison; return the gains in utility."""
        moved = np.matmul(inverse, features[:, :, None])[:, :, 0]
        scale = 1 + np.einsum("or,or->o", features, moved)
        step = moved / scale[:, None]
        error = targets - np.matmul(features[:, None, :], weights)[:, 0]
        curved = step @ self.moment
        slope = step @ self.product - np.matmul(curved[:, None, :], weights)[:, 0]
        inverse -= moved[:, :, None] * step[:, None, :]
        weights += step[:, :, None] * error[:, None, :]
        size = np.einsum("or,or->o", curved, step) * np.einsum("oc,oc->o", error, error)
        return 2 * np.einsum("oc,oc->o", slope, error) - size


def ridge_values(game: RidgeGame, seed: int) -> Floats:
    """Shapley values by truncated Monte Carlo, `(n_samples,)`, in rounds until one hardly changes them.

    Nearly all that differs between two orders happens to their first few samples. So besides whole permutations there
    are halves, quarters and so on, each part the beginning of an order of its own; a gain counts by how often a
    round plays its position, which leaves the mean as it is. Ghorbani and Zou 2019, arXiv 1904.02868.
    """
    generator = np.random.default_rng(seed)
    n_samples = len(game.features)
    lengths = [n_samples]
    while lengths[-1] >= 2 * SHORTEST:
        lengths.append(lengths[-1] // 2)
    plays = np.zeros(n_samples)
    for length in lengths:
        plays[:length] += 2 * ORDERS * (n_samples // length)
    total = np.zeros(n_samples)
    before = np.zeros(n_samples)
    values = np.zeros(n_samples)
    for number in range(1, MOST_ROUNDS + 1):
        for length in lengths:
            for orders in _beginnings(n_samples, length, generator):
                np.add.at(total, orders, game.gains(orders) / plays[:length])
        values = total / number
        if np.abs(values - before).mean() < TOLERANCE * np.abs(values).mean():
            break
        before = values
    return values


def _beginnings(n_samples: int, length: int, generator: np.random.Generator) -> Iterator[Indices]:
    """The parts of `ORDERS` permutations, and their reverses, `(≤ AT_ONCE, length)` at once."""
    whole = n_samples // length * length
    parts = np.concatenate([generator.permutation(n_samples)[:whole].reshape(-1, length) for _ in range(ORDERS)])
    parts = np.concatenate([parts, parts[:, ::-1]])
    yield from (parts[start : start + AT_ONCE] for start in range(0, len(parts), AT_ONCE))


def knn_values(sketch: GradientSketch, references: GradientSketch, own: Indices | None) -> Floats:
    """Mean Shapley values of a nearest-neighbour classifier over references, `(n_samples,)`.

    own: the position of each reference among the samples, left out of its game.
    """
    assert sketch.features is not None
    assert references.features is not None
    features = np.asarray(sketch.features, dtype=np.float32)
    squares = np.einsum("ir,ir->i", features, features)
    total = np.zeros(len(sketch))
    played = np.zeros(len(sketch))
    for j in range(len(references)):
        distances = squares - 2 * (features @ np.asarray(references.features[j], dtype=np.float32))
        order = np.argsort(distances, kind="stable")
        order = order if own is None else order[order != own[j]]
        total[order] += _knn_game(sketch.given_labels[order] == references.given_labels[j])
        played[order] += 1
    return total / np.maximum(played, 1)


def _knn_game(matches: NDArray[np.bool_]) -> NDArray[np.floating[Any]]:
    """Shapley values of samples sorted from the nearest, given whether their labels match."""
    n_samples = len(matches)
    right = matches.astype(np.float64)
    if not n_samples:
        return right
    ranks = np.arange(1, n_samples)
    steps = (right[:-1] - right[1:]) / NEIGHBOURS * np.minimum(NEIGHBOURS, ranks) / ranks
    last = right[-1] / max(n_samples, NEIGHBOURS)
    return last + np.append(np.cumsum(steps[::-1])[::-1], 0)
