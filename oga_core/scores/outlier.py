"""Outlier detection on per-sample gradients, the paper's three detectors first (Chhabra et al., arXiv 2405.03869)."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, evenly_spaced, in_blocks, room, slices
from oga_core.scores.common import canonical_order, ranks, whitened_axes
from oga_core.scores.estimators.forest import Features, isolation_forest_scores
from oga_core.scores.estimators.min_cov_det import robust_distances
from oga_core.scores.estimators.neighbours import distances_to_references
from oga_core.scores.neighbour import REFERENCES

PAPER_TREES = 100
TREES = 1200
SKETCH_TREES = 800
CLASS_TREES = 200
"""Two seeds agree to a Spearman correlation of 0.988 and 0.989 on noisy photographs; 800 trees on the head to 0.980."""
TREES_PER_MEMBER = 8
"""A class of few samples takes this many trees for each, since so few samples leave little to estimate."""
AXES = 16


def isolation_forest(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest, 2^(-mean path length / expected), on the head's weight gradients (p - y) ⊗ h. Chhabra et al.,
    arXiv 2405.03869; Liu et al., ICDM 2008.

    `(n_samples,)` in 0 to 1, all samples together; the gradients are never built. The paper's detector with 1,200 trees
    for its 100, so that another seed ranks the samples alike.
    """
    return _forest(Features(_features(sketch), sketch.delta), sketch, TREES, seed)


def isolation_forest_paper(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest, 2^(-mean path length / expected), on the head's weight gradients, by 100 trees. Chhabra et al.,
    arXiv 2405.03869; Liu et al., ICDM 2008.

    `(n_samples,)` in 0 to 1. The paper's own setting: 100 trees of 256 samples each; its contamination is a cut of this
    ranking, here the share to trim.
    """
    return isolation_forest_scores(Features(_features(sketch), sketch.delta), PAPER_TREES, seed=seed)


def isolation_forest_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest, 2^(-mean path length / expected), on the head's weight gradients of each given class apart.
    Chhabra et al., arXiv 2405.03869; Liu et al., ICDM 2008.

    `(n_samples,)` in 0 to 1.
    """
    return _per_class(sketch, Features(_features(sketch), sketch.delta), seed)


def isolation_forest_sketch(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest, 2^(-mean path length / expected), on the sketch of the gradients of all selected parameters.
    Chhabra et al., arXiv 2405.03869; Liu et al., ICDM 2008.

    `(n_samples,)` in 0 to 1.
    """
    return _forest(Features(np.asarray(sketch.sketch)), sketch, SKETCH_TREES, seed)


def isolation_forest_sketch_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Isolation Forest, 2^(-mean path length / expected), on the sketched gradients of each given class apart. Chhabra
    et al., arXiv 2405.03869; Liu et al., ICDM 2008.

    `(n_samples,)` in 0 to 1.
    """
    return _per_class(sketch, Features(np.asarray(sketch.sketch)), seed)


def l1_norm(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L1 norm of the head's weight gradient, ‖p - y‖₁ · ‖h‖₁, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return _sizes(sketch.delta) * _sizes(_features(sketch))


def l2_norm(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L2 norm of the head's weight gradient, ‖p - y‖₂ · ‖h‖₂, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.sqrt(_squares(sketch.delta) * _squares(_features(sketch)))


def l1_norm_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of ‖p - y‖₁ · ‖h‖₁ within the given class, `(n_samples,)`, 0 to 1. Chhabra et al., arXiv 2405.03869.

    The paper's threshold, set for each class apart: a share of every class is trimmed, not of all samples.
    """
    return _ranks_per_class(l1_norm(sketch), sketch)


def l2_norm_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of ‖p - y‖₂ · ‖h‖₂ within the given class, `(n_samples,)`, 0 to 1. Chhabra et al., arXiv 2405.03869.

    The paper's threshold, set for each class apart: a share of every class is trimmed, not of all samples.
    """
    return _ranks_per_class(l2_norm(sketch), sketch)


def l1_norm_all(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Exact L1 norm of the gradient of all selected parameters, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.asarray(sketch.l1_norm_all, dtype=np.float64)


def l2_norm_all(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Exact L2 norm of the gradient of all selected parameters, `(n_samples,)`. Chhabra et al., arXiv 2405.03869."""
    return np.asarray(sketch.l2_norm_all, dtype=np.float64)


def l1_norm_sketch(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L1 norm of the gradient's sketch, ‖s‖₁ = Σ_k |s_k|, `(n_samples,)`. Chhabra et al., arXiv 2405.03869.

    A sketch keeps L2 norms; its L1 norm estimates that of the gradient turned at random, and ranks much as L2 does.
    """
    return _sizes(np.asarray(sketch.sketch))


def l2_norm_sketch(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L2 norm of the gradient's sketch, ‖s‖₂, whose square is unbiased, `(n_samples,)`. Chhabra, arXiv 2405.03869."""
    return np.sqrt(_squares(np.asarray(sketch.sketch)))


def l1_norm_sketch_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of the sketch's L1 norm ‖s‖₁ within the given class, `(n_samples,)`, 0 to 1. Chhabra, arXiv 2405.03869."""
    return _ranks_per_class(l1_norm_sketch(sketch), sketch)


def l2_norm_sketch_per_class(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Rank of the sketch's L2 norm ‖s‖₂ within the given class, `(n_samples,)`, 0 to 1. Chhabra, arXiv 2405.03869."""
    return _ranks_per_class(l2_norm_sketch(sketch), sketch)


def ecod(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """ECOD: the largest of three sums of -log tail probabilities over the sketch's principal axes, `(n_samples,)`. Li
    et al. 2022, arXiv 2201.00382.

    Left tails, right tails, and on every axis the tail that its skewness points to.
    """
    axes = whitened_axes(sketch, count=AXES)
    tails: Values = room((3, len(axes)), np.float64)
    tails[:] = 0
    left, right, skewed = tails
    for column in axes.T:
        share = ranks(column)
        is_left = ((column - column.mean()) ** 3).mean() < 0
        for part in slices(len(axes)):
            below = -np.log(share[part])
            above = -np.log(1 - share[part])
            left[part] += below
            right[part] += above
            skewed[part] += below if is_left else above
    return np.maximum(np.maximum(left, right, out=left), skewed, out=left)


def knn_distance(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Mean distance to the 10 nearest other gradients on the sketch's principal axes, `(n_samples,)`. Ramaswamy et al.,
    SIGMOD 2000; against at most 4,000 reference samples.
    """
    axes = whitened_axes(sketch, count=AXES)
    return distances_to_references(axes, evenly_spaced(canonical_order(sketch), REFERENCES), count=10)


def mahalanobis(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Robust Mahalanobis distance √((s - μ)ᵀ Σ⁻¹ (s - μ)) on the sketch's principal axes, `(n_samples,)`, at least 0.
    Rousseeuw and Van Driessen, Technometrics 1999.

    μ and Σ are those of the three quarters of the samples with the smallest determinant of Σ, by FAST-MCD.
    """
    return robust_distances(whitened_axes(sketch, count=AXES), canonical_order(sketch), seed)


def _forest(features: Features, sketch: GradientSketch, n_trees: int, seed: int) -> Values:
    return isolation_forest_scores(features, n_trees, seed=seed, fitted_on=canonical_order(sketch))


def _per_class(sketch: GradientSketch, features: Features, seed: int) -> Values:
    """A forest for each given class, fitted on its samples and asked for them."""
    result = np.zeros(len(sketch))
    order = canonical_order(sketch)
    for label in np.unique(sketch.given_labels):
        members = order[sketch.given_labels[order] == label]
        n_trees = min(CLASS_TREES, TREES_PER_MEMBER * len(members))
        rows = np.sort(members)
        result[rows] = isolation_forest_scores(features, n_trees, seed=seed, fitted_on=members, judged=rows)
    return result


def _ranks_per_class(values: Values, sketch: GradientSketch) -> Values:
    """The rank of each value within its given class, `(n_samples,)`, 0 to 1."""
    result = np.zeros(len(sketch))
    for label in np.unique(sketch.given_labels):
        members = np.flatnonzero(sketch.given_labels == label)
        result[members] = ranks(values[members])
    return result


def _features(sketch: GradientSketch) -> Array:
    assert sketch.features is not None, "the registry asks for features"
    return np.asarray(sketch.features)


def _sizes(rows: Array) -> Values:
    """Sum of the absolute values of each row, `(n_samples,)`, without a copy of them all."""
    return in_blocks(lambda part: np.abs(rows[part]).sum(axis=1, dtype=np.float64), len(rows))


def _squares(rows: Array) -> Values:
    return in_blocks(lambda part: np.einsum("ij,ij->i", rows[part], rows[part], dtype=np.float64), len(rows))
