"""What retraining says: the truth that influence approximates, on the head, for small data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices, PrincipalAxes, cross_entropy, principal_axes, softmax
from oga_core.scores.common import canonical_order, drawn
from oga_core.scores.estimators.shapley import RidgeGame, knn_values, ridge_values

MOST_SAMPLES = 2000
COMPONENTS = 64
PENALTY = 0.01
CHORD_STEPS = 30
MOST_PARAMETERS = 4096
"""Of the retrained head: its curvature is a square of them, and is inverted."""
REFERENCES = 512


def leave_one_out(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Fall of the mean validation loss when the head is trained without sample i: L_val(θ) - L_val(θ₋ᵢ). Cook and
    Weisberg 1982; Koh and Liang 2017, arXiv 1703.04730.

    `(n_samples,)`, positive: without it the head is better. The head is a softmax regression with an L2 penalty of
    0.01 on the 64 leading principal components, trained to convergence for every i. At most 2,000 samples and 4,096
    parameters, else `OgaError`.
    """
    _require_small(sketch, "leave_one_out")
    basis = _basis(sketch)
    features = basis.of(validation)
    labels = validation.given_labels
    full, left_out = _leave_one_out_heads(basis.of(sketch), sketch)
    before = cross_entropy(features @ full.T, labels).mean()
    after = [cross_entropy(features @ head.T, labels).mean() for head in left_out]
    return before - np.array(after)


def self_leave_one_out(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Rise of the loss of sample i when the head is trained without it: l_i(θ₋ᵢ) - l_i(θ), `(n_samples,)`. The truth
    behind self-influence; Feldman and Zhang 2020, arXiv 2008.03703.

    The head and the limits are those of `leave_one_out`.
    """
    _require_small(sketch, "self_leave_one_out")
    features = _basis(sketch).of(sketch)
    labels = sketch.given_labels
    full, left_out = _leave_one_out_heads(features, sketch)
    without = cross_entropy(np.einsum("icr,ir->ic", left_out, features), labels)
    return without - cross_entropy(features @ full.T, labels)


def _require_small(sketch: GradientSketch, score: str) -> None:
    """Refuse what takes hours or gigabytes to retrain for every sample."""
    _require_few(sketch, score)
    assert sketch.features is not None
    width = min(sketch.features.shape[1], COMPONENTS) + 1
    if sketch.n_classes * width > MOST_PARAMETERS:
        raise OgaError(
            f"The score {score!r} inverts the curvature of the head and takes at most {MOST_PARAMETERS // width:,} "
            f"classes with {width - 1} features; there are {sketch.n_classes:,}. Use an influence score."
        )


def _require_few(sketch: GradientSketch, score: str) -> None:
    if len(sketch) > MOST_SAMPLES:
        raise OgaError(
            f"The score {score!r} retrains for every sample and takes at most {MOST_SAMPLES:,} samples; there are "
            f"{len(sketch):,}. Use --max-samples {MOST_SAMPLES}, or an influence score."
        )


@dataclass(frozen=True, eq=False)
class _Basis:
    """Leading principal components of the training features, scaled alike, and a 1 for the bias."""

    principal: PrincipalAxes

    def of(self, sketch: GradientSketch) -> Floats:
        assert sketch.features is not None
        largest = max(float(np.sqrt(self.principal.variances[0])), 1e-12)
        scaled = self.principal.project(np.asarray(sketch.features, dtype=np.float64)) / largest
        return np.pad(scaled, ((0, 0), (0, 1)), constant_values=1)


def _basis(sketch: GradientSketch) -> _Basis:
    assert sketch.features is not None
    return _Basis(principal_axes(np.asarray(sketch.features, dtype=np.float64), COMPONENTS))


def _leave_one_out_heads(features: Floats, sketch: GradientSketch) -> tuple[Floats, Floats]:
    """Heads `(n_classes, width)` and `(n_samples, n_classes, width)` trained with all samples and without each one."""
    targets = np.eye(sketch.n_classes)[sketch.given_labels]
    full = _fit(features, targets)
    inverse = np.linalg.inv(_curvature(features, full))
    n_samples = len(features)
    shape = full.shape
    heads = np.empty((n_samples, *shape))
    for i in range(n_samples):
        head = full
        for _ in range(CHORD_STEPS):
            error = softmax(features @ head.T) - targets
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
        gradient = (softmax(features @ head.T) - targets).T @ features / len(features) + PENALTY * head
        step = np.linalg.solve(_curvature(features, head), gradient.ravel()).reshape(head.shape)
        length = 1.0
        while (changed := _objective(features, targets, head - length * step)) > value and length > 1e-6:
            length /= 2
        head = head - length * step
        value = min(changed, value)
        if np.abs(step).max() < 1e-9:
            break
    return head


def _objective(features: Floats, targets: Floats, head: Floats) -> float:
    loss = cross_entropy(features @ head.T, targets.argmax(axis=1)).mean()
    return float(loss + PENALTY / 2 * np.sum(head**2))


def _curvature(features: Floats, head: Floats) -> Floats:
    """Hessian of the penalised mean loss, `(n_classes · width,) * 2`."""
    probabilities = softmax(features @ head.T)
    n_classes, width = head.shape
    curvature = np.empty((n_classes, width, n_classes, width))
    for a in range(n_classes):
        for b in range(n_classes):
            weights = probabilities[:, a] * ((a == b) - probabilities[:, b])
            curvature[a, :, b] = (features * weights[:, None]).T @ features / len(features)
    return curvature.reshape((head.size,) * 2) + PENALTY * np.eye(head.size)


def data_shapley(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Minus the Data Shapley value, -mean over orders of U(before i, and i) - U(before i), `(n_samples,)`. Ghorbani and
    Zou 2019, arXiv 1904.02868.

    By truncated Monte Carlo: an order is cut where the utility stays within 1 % of the full set's, each is played
    forward and backward, and the rounds of orders end when one changes the values by less than 1 % of their mean
    size. The head is a ridge regression on one-hot labels, so that one sample more is a rank-one update, and U is
    minus its mean squared validation error. At most 2,000 samples, else `OgaError`.
    """
    _require_few(sketch, "data_shapley")
    basis = _basis(sketch)
    order = canonical_order(sketch)
    targets = np.eye(sketch.n_classes)
    reference = validation.take(drawn(validation, REFERENCES, seed))
    game = RidgeGame.of(
        basis.of(sketch)[order],
        targets[sketch.given_labels[order]],
        basis.of(reference),
        targets[reference.given_labels],
    )
    values = np.empty(len(sketch))
    values[order] = ridge_values(game, seed)
    return -values


def knn_shapley(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Minus the exact Shapley value of a 10-nearest-neighbour classifier on the features, `(n_samples,)`. Jia et al.
    2019, arXiv 1908.08619.

    From the farthest to the nearest sample of each validation sample: s_n = 1[y_n = y] / n, s_j = s_{j+1} + (1[y_j
    = y] - 1[y_{j+1} = y]) / K · min(K, j) / j; the mean over at most 512 validation samples.
    """
    return _knn_shapley(sketch, validation.take(drawn(validation, REFERENCES, seed)), own=None)


def self_knn_shapley(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """`knn_shapley`, -mean_j s_ij, with at most 512 training samples in the place of validation data, `(n_samples,)`.
    Jia et al. 2019, arXiv 1908.08619.

    A reference sample takes no part in its own game.
    """
    rows = drawn(sketch, REFERENCES, seed)
    return _knn_shapley(sketch, sketch.take(rows), own=rows)


def _knn_shapley(sketch: GradientSketch, references: GradientSketch, own: Indices | None) -> Floats:
    """Played in the canonical order, so that samples at one distance take the same turn however the data are sorted."""
    order = canonical_order(sketch)
    positions = None if own is None else np.argsort(order, kind="stable")[own]
    values = np.empty(len(sketch))
    values[order] = knn_values(sketch.take(order), references, positions)
    return -values
