"""Outlier detection on per-sample gradients, the paper's three detectors first (Chhabra et al., arXiv 2405.03869)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oga_core.gradient_sketch import Array, GradientSketch
from oga_core.scores.common import Indices, Values, canonical_order, principal_axes, ranks
from oga_core.scores.forest import Features, isolation_forest_scores
from oga_core.scores.neighbour import distances_to_references

TREES, CLASS_TREES = 800, 200
"""Two seeds of 100 trees agree to a Spearman correlation of 0.86 on noisy photographs, of 800 to 0.98."""
AXES = 16
KEPT, CONCENTRATIONS = 0.75, 5


def isolation_forest(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest on the head's weight gradients (p - y) ⊗ h, all samples together; the paper's default.

    `(n_samples,)` in 0 to 1. The gradients are never built. Chhabra et al., arXiv 2405.03869; Liu et al., ICDM 2008.
    """
    return _forest(Features(_features(sketch), sketch.delta), sketch, TREES, seed)


def isolation_forest_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest on the head's weight gradients of each given class apart, `(n_samples,)` in 0 to 1.

    Chhabra et al., arXiv 2405.03869; Liu et al., ICDM 2008.
    """

    def of_class(part: GradientSketch) -> Values:
        return _forest(Features(_features(part), part.delta), part, CLASS_TREES, seed)

    return _per_class(sketch, of_class)


def isolation_forest_sketch(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest on the sketch of the gradients of all selected parameters, `(n_samples,)` in 0 to 1.

    Chhabra et al., arXiv 2405.03869; Liu et al., ICDM 2008.
    """
    return _forest(Features(np.asarray(sketch.sketch)), sketch, CLASS_TREES, seed)


def l1_norm(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L1 norm of the head's weight gradient, ‖p - y‖₁ · ‖h‖₁, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return _sum(np.abs(sketch.delta)) * _sum(np.abs(_features(sketch)))


def l2_norm(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L2 norm of the head's weight gradient, ‖p - y‖₂ · ‖h‖₂, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.sqrt(_squares(sketch.delta) * _squares(_features(sketch)))


def l1_norm_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of the head gradient's L1 norm within the given class, `(n_samples,)` in 0 to 1. Arrays as in `l1_norm`."""
    return _per_class(sketch, lambda part: ranks(l1_norm(part)))


def l2_norm_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of the head gradient's L2 norm within the given class, `(n_samples,)` in 0 to 1. Arrays as in `l2_norm`."""
    return _per_class(sketch, lambda part: ranks(l2_norm(part)))


def l1_norm_all(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Exact L1 norm of the gradient of all selected parameters, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.asarray(sketch.l1_norm_all, dtype=np.float64)


def l2_norm_all(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Exact L2 norm of the gradient of all selected parameters, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.asarray(sketch.l2_norm_all, dtype=np.float64)


def l2_norm_sketch(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L2 norm of the gradient's sketch, an unbiased estimate of the squared norm, `(n_samples,)`. arXiv 2405.03869."""
    return np.sqrt(_squares(np.asarray(sketch.sketch)))


def ecod(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """ECOD: the largest of three sums of -log tail probabilities over the sketch's principal axes, `(n_samples,)`.

    Left tails, right tails, and on every axis the tail that its skewness points to. Li et al. 2022, arXiv 2201.00382.
    """
    axes = principal_axes(sketch, count=AXES)
    share = np.stack([ranks(column) for column in axes.T], axis=1)
    left, right = -np.log(share), -np.log(1 - share)
    skewed = np.where(((axes - axes.mean(axis=0)) ** 3).mean(axis=0) < 0, left, right)
    return np.max([left.sum(axis=1), right.sum(axis=1), skewed.sum(axis=1)], axis=0)


def knn_distance(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Mean distance to the 10 nearest other gradients on the sketch's principal axes, `(n_samples,)`.

    Ramaswamy et al., SIGMOD 2000; against at most 4,000 reference samples.
    """
    axes = principal_axes(sketch, count=AXES)
    return distances_to_references(axes, canonical_order(sketch), count=10)


def mahalanobis(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Robust Mahalanobis distance on the sketch's principal axes, `(n_samples,)`, at least 0.

    Mean and covariance are those of the three quarters of the samples that lie nearest to them, found by
    concentration steps. Rousseeuw and Van Driessen, Technometrics 1999.
    """
    axes = principal_axes(sketch, count=AXES).astype(np.float64)
    centre, spread = np.median(axes, axis=0), np.cov(axes.T).reshape(axes.shape[1], axes.shape[1])
    ridge = 1e-6 * max(float(np.trace(spread)) / len(spread), 1e-30) * np.eye(len(spread))
    distances = _squared_distances(axes, centre, spread + ridge)
    for _ in range(CONCENTRATIONS):
        nearest = axes[distances <= np.quantile(distances, KEPT)]
        centre, spread = nearest.mean(axis=0), np.cov(nearest.T).reshape(spread.shape)
        distances = _squared_distances(axes, centre, spread + ridge)
    return np.sqrt(distances)


def _forest(features: Features, sketch: GradientSketch, n_trees: int, seed: int) -> Values:
    return isolation_forest_scores(features, n_trees, seed=seed, fitted_on=canonical_order(sketch))


def _per_class(sketch: GradientSketch, score: Callable[[GradientSketch], Values]) -> Values:
    result = np.zeros(len(sketch))
    for label in np.unique(sketch.given_labels):
        members: Indices = np.flatnonzero(sketch.given_labels == label)
        result[members] = score(sketch.take(members))
    return result


def _squared_distances(points: Values, centre: Values, spread: Values) -> Values:
    centred = points - centre
    distances: Values = np.einsum("ij,ij->i", centred @ np.linalg.inv(spread), centred)
    return np.maximum(distances, 0)


def _features(sketch: GradientSketch) -> Array:
    assert sketch.features is not None, "the registry asks for features"
    return np.asarray(sketch.features)


def _sum(rows: Array) -> Values:
    sums: Values = rows.sum(axis=1, dtype=np.float64)
    return sums


def _squares(rows: Array) -> Values:
    squares: Values = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return squares
