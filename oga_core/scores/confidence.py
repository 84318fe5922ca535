"""Scores from what the model says about the given label."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, in_blocks, negative_margin, prior_adjusted
from oga_core.scores.estimators.discriminant import discriminant_logits


def loss(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Cross-entropy, -log p(given label), `(n_samples,)`; small losses are clean: Han et al., arXiv 1804.06872."""
    return np.asarray(sketch.losses, dtype=np.float64)


def margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Largest other logit minus the given label's, `(n_samples,)`; the margin of Pleiss et al., arXiv 2001.10528."""
    return negative_margin(_logits(sketch), sketch.given_labels)


def adjusted_margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Margin of the logits minus log π, π the mean predicted probabilities, `(n_samples,)`. Menon, arXiv 2007.07314."""
    return negative_margin(prior_adjusted(_logits(sketch), sketch.probabilities), sketch.given_labels)


def view_margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Margin of the logits averaged over test-time views and adjusted for class priors, `(n_samples,)`. Menon et al.
    2021, arXiv 2007.07314.

    Largest z_k - log π_k of another class minus that of the given one.
    """
    assert sketch.view_logits is not None, "the registry asks for views"
    return negative_margin(prior_adjusted(sketch.view_logits, sketch.probabilities), sketch.given_labels)


def normalized_margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Largest other probability minus the given label's, `(n_samples,)`, -1 to 1. Northcutt, arXiv 1911.00068."""
    return negative_margin(sketch.probabilities, sketch.given_labels)


def el2n(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """EL2N, the norm of the error ‖p - y‖₂, `(n_samples,)`, 0 to √2. Paul et al. 2021, arXiv 2107.07075."""
    return in_blocks(lambda rows: np.linalg.norm(sketch.delta[rows].astype(np.float64), axis=1), len(sketch))


def entropy(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Entropy of the prediction, -Σ p log p, `(n_samples,)`, 0 to log n_classes; from no paper on labels.

    Finds hard samples, not wrong ones: it does not look at the given label.
    """

    def of(rows: slice) -> Values:
        p = sketch.probabilities[rows].astype(np.float64)
        terms: Values = p * np.log(np.maximum(p, 1e-300))
        return -terms.sum(axis=1)

    return in_blocks(of, len(sketch))


def discriminant_margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Margin of leave-one-out linear discriminant analysis on the last layer's features, `(n_samples,)`. Lee et al.
    2019, arXiv 1901.11300, without their subsets.

    Half the difference of squared Mahalanobis distances to the given class's mean and the nearest other one, with
    shrunk covariance, each sample left out of the fit.
    """
    assert sketch.steady_features is not None, "the registry asks for features"
    logits = discriminant_logits(sketch.steady_features, sketch.given_labels, sketch.n_classes)
    return negative_margin(logits, sketch.given_labels)


def _logits(sketch: GradientSketch) -> Array:
    assert sketch.logits is not None, "the registry asks for logits"
    return sketch.logits
