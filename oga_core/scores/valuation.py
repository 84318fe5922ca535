"""What retraining says: the truth that influence approximates, on the head, for small data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.scores.curvature import Floats

MOST_SAMPLES = 2000
COMPONENTS = 64
PENALTY = 0.01
CHORD_STEPS = 30
PERMUTATIONS = 50
TRUNCATION = 0.01
NEIGHBOURS = 10
REFERENCES = 512


def leave_one_out(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Fall of the mean validation loss when the head is trained without sample i: L_val(θ) - L_val(θ₋ᵢ).

    `(n_samples,)`, positive: without it the head is better. The head is a softmax regression with an L2
    penalty of 0.01 on the 64 leading principal components, trained to convergence for every i. At most 2,000 samples,
    else `OgaError`. Cook and Weisberg 1982; Koh and Liang 2017, arXiv 1703.04730.
    """
    basis = _basis(sketch)
    features, labels = basis.of(validation), validation.given_labels
    full, left_out = _leave_one_out_heads(basis.of(sketch), sketch)
    before = _cross_entropy(features @ full.T, labels).mean()
    after = [_cross_entropy(features @ head.T, labels).mean() for head in left_out]
    return before - np.array(after)


def self_leave_one_out(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Loss of sample i under the head trained without it: l_i(θ₋ᵢ), `(n_samples,)`, 0 or more.

    The head and the limit are those of `leave_one_out`. The truth behind self-influence; Feldman and Zhang 2020,
    arXiv 2008.03703.
    """
    features = _basis(sketch).of(sketch)
    _, left_out = _leave_one_out_heads(features, sketch)
    return _cross_entropy(np.einsum("icr,ir->ic", left_out, features), sketch.given_labels)


def _require_few(sketch: GradientSketch, score: str) -> None:
    if len(sketch) > MOST_SAMPLES:
        raise OgaError(
            f"The score {score!r} retrains for every sample and takes at most {MOST_SAMPLES:,} samples; there are "
            f"{len(sketch):,}. Use --max-samples {MOST_SAMPLES}, or an influence score."
        )


@dataclass(frozen=True, eq=False)
class _Basis:
    """Leading principal components of the training features, scaled alike, and a 1 for the bias."""

    mean: Floats
    axes: Floats

    def of(self, sketch: GradientSketch) -> Floats:
        assert sketch.features is not None
        scaled = (np.asarray(sketch.features, dtype=np.float64) - self.mean) @ self.axes
        return np.pad(scaled, ((0, 0), (0, 1)), constant_values=1)


def _basis(sketch: GradientSketch) -> _Basis:
    assert sketch.features is not None
    features = np.asarray(sketch.features, dtype=np.float64)
    mean = features.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(features - mean, rowvar=False, ddof=0).reshape((features.shape[1],) * 2))
    axes = vectors[:, ::-1][:, :COMPONENTS]
    return _Basis(mean, axes / max(float(np.sqrt(values.max())), 1e-12))


def _leave_one_out_heads(features: Floats, sketch: GradientSketch) -> tuple[Floats, Floats]:
    """Heads `(n_classes, width)` and `(n_samples, n_classes, width)` trained with all samples and without each one."""
    _require_few(sketch, "leave_one_out")
    targets = np.eye(sketch.n_classes)[sketch.given_labels]
    full = _fit(features, targets)
    inverse = np.linalg.inv(_curvature(features, full))
    n_samples, shape = len(features), full.shape
    heads = np.empty((n_samples, *shape))
    for i in range(n_samples):
        head = full
        for _ in range(CHORD_STEPS):
            error = _softmax(features @ head.T) - targets
            error[i] = 0
            gradient = error.T @ features / n_samples + PENALTY * head * (1 - 1 / n_samples)
            step = (inverse @ gradient.ravel()).reshape(shape)
            head = head - step
            if np.abs(step).max() < 1e-7:
                break
        heads[i] = head
    return full, heads


def _fit(features: Floats, targets: Floats) -> Floats:
    """Softmax regression with an L2 penalty, by damped Newton steps, `(n_classes, width)`."""
    head = np.zeros((targets.shape[1], features.shape[1]))
    value = _objective(features, targets, head)
    for _ in range(50):
        gradient = (_softmax(features @ head.T) - targets).T @ features / len(features) + PENALTY * head
        step = np.linalg.solve(_curvature(features, head), gradient.ravel()).reshape(head.shape)
        length = 1.0
        while (changed := _objective(features, targets, head - length * step)) > value and length > 1e-6:
            length /= 2
        head, value = head - length * step, min(changed, value)
        if np.abs(step).max() < 1e-9:
            break
    return head


def _objective(features: Floats, targets: Floats, head: Floats) -> float:
    loss = _cross_entropy(features @ head.T, targets.argmax(axis=1)).mean()
    return float(loss + PENALTY / 2 * np.sum(head**2))


def _curvature(features: Floats, head: Floats) -> Floats:
    """Hessian of the penalised mean loss, `(n_classes · width,) * 2`."""
    probabilities = _softmax(features @ head.T)
    n_classes, width = head.shape
    curvature = np.empty((n_classes, width, n_classes, width))
    for a in range(n_classes):
        for b in range(n_classes):
            weights = probabilities[:, a] * ((a == b) - probabilities[:, b])
            curvature[a, :, b] = (features * weights[:, None]).T @ features / len(features)
    return curvature.reshape((head.size,) * 2) + PENALTY * np.eye(head.size)


def _softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _cross_entropy(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def data_shapley(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Minus the Data Shapley value, by truncated Monte Carlo over 50 random orders, `(n_samples,)`.

    φ_i is the mean gain of the validation utility when sample i joins those before it in an order; an order is cut
    where the utility stays within 1 % of the full set's. The head is a ridge regression on one-hot labels, so that one
    sample more is a rank-one update, and the utility is minus its mean squared error. At most 2,000 samples, else
    `OgaError`.
    Ghorbani and Zou 2019, arXiv 1904.02868.
    """
    _require_few(sketch, "data_shapley")
    basis, rng = _basis(sketch), np.random.default_rng(seed)
    features, targets = basis.of(sketch), np.eye(sketch.n_classes)[sketch.given_labels]
    rows = rng.permutation(len(validation))[:REFERENCES]
    game = _Game(features, targets, basis.of(validation)[rows], np.eye(sketch.n_classes)[validation.given_labels[rows]])
    total = np.zeros(len(sketch))
    for _ in range(PERMUTATIONS):
        order = rng.permutation(len(sketch))
        total[order] += game.gains(order)
    return -total / PERMUTATIONS


@dataclass(frozen=True, eq=False)
class _Game:
    """The cooperative game of a ridge head: samples join, the utility is minus the squared validation error."""

    features: Floats
    targets: Floats
    validation: Floats
    validation_targets: Floats

    def utility(self, predictions: Floats) -> float:
        return -float(np.mean((predictions - self.validation_targets) ** 2))

    def full(self) -> float:
        gram = self.features.T @ self.features + np.eye(self.features.shape[1])
        return self.utility(self.validation @ np.linalg.solve(gram, self.features.T @ self.targets))

    def gains(self, order: NDArray[np.int64]) -> Floats:
        """Gain in utility as each sample joins, in the given order; 0 after the cut."""
        inverse, predictions = np.eye(self.features.shape[1]), np.zeros_like(self.validation_targets)
        weights = np.zeros((self.features.shape[1], self.targets.shape[1]))
        utility, goal = self.utility(predictions), self.full()
        gains = np.zeros(len(order))
        close = TRUNCATION * abs(goal - utility)
        settled = 0
        for position, i in enumerate(order):
            gain = inverse @ self.features[i]
            gain /= 1 + self.features[i] @ gain
            change = np.outer(gain, self.targets[i] - self.features[i] @ weights)
            weights += change
            inverse -= np.outer(gain, self.features[i] @ inverse)
            predictions = self.validation @ weights
            before, utility = utility, self.utility(predictions)
            gains[position] = utility - before
            settled = settled + 1 if abs(goal - utility) < close else 0
            if settled >= 10:
                break
        return gains


def knn_shapley(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Minus the exact Shapley value of a 10-nearest-neighbour classifier on the features, `(n_samples,)`.

    From the farthest to the nearest sample of each validation sample:
    s_n = 1[y_n = y] / n, s_j = s_{j+1} + (1[y_j = y] - 1[y_{j+1} = y]) / K · min(K, j) / j; the mean over at most 512
    validation samples. Jia et al. 2019, arXiv 1908.08619.
    """
    rows = np.random.default_rng(seed).permutation(len(validation))[:REFERENCES]
    return -_knn_values(sketch, validation.take(rows), own=None)


def self_knn_shapley(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """`knn_shapley` with at most 512 of the training samples in the place of validation data, `(n_samples,)`.

    A reference sample takes no part in its own game. Jia et al. 2019, arXiv 1908.08619.
    """
    rows = np.random.default_rng(seed).permutation(len(sketch))[:REFERENCES].astype(np.int64)
    return -_knn_values(sketch, sketch.take(rows), own=rows)


def _knn_values(sketch: GradientSketch, references: GradientSketch, own: NDArray[np.int64] | None) -> Floats:
    """Mean Shapley values; `own[j]` is the position of reference j among the samples, left out of its game."""
    assert sketch.features is not None
    assert references.features is not None
    features = np.asarray(sketch.features, dtype=np.float32)
    squares = np.einsum("ir,ir->i", features, features)
    total, played = np.zeros(len(sketch)), np.zeros(len(sketch))
    for j in range(len(references)):
        distances = squares - 2 * (features @ np.asarray(references.features[j], dtype=np.float32))
        order = np.argsort(distances, kind="stable")
        order = order if own is None else order[order != own[j]]
        total[order] += _knn_game(sketch.given_labels[order] == references.given_labels[j])
        played[order] += 1
    return total / np.maximum(played, 1)


def _knn_game(matches: NDArray[np.bool_]) -> Floats:
    """Shapley values of samples sorted from the nearest, given whether their labels match."""
    n_samples, right = len(matches), matches.astype(np.float64)
    ranks = np.arange(1, n_samples)
    steps = (right[:-1] - right[1:]) / NEIGHBOURS * np.minimum(NEIGHBOURS, ranks) / ranks
    last = right[-1] / max(n_samples, NEIGHBOURS)
    return last + np.append(np.cumsum(steps[::-1])[::-1], 0)
