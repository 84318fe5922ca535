"""The head trained again on frozen features, in folds, so that no sample is judged by a head that saw its label."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, Values, negative_margin, prior_adjusted, softmax
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.confident import class_thresholds
from oga_core.scores.estimators.discriminant import standardised

FOLDS, STEPS = 5, 12
PENALTY = 0.08
"""Ridge penalty in units of the mean loss; heads on few hundred features of noisy data want a strong one."""
WHITENING = 0.1


def out_of_fold(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Negative prior-adjusted margin of a logistic head cross-validated on frozen features, `(n_samples,)`. Northcutt
    et al. 2021, arXiv 1911.00068 (out-of-sample probabilities); Menon et al. 2021, arXiv 2007.07314 (adjustment).

    Largest z_k - log π_k of another class minus that of the given one, π the mean predicted probabilities.
    """
    logits = out_of_fold_logits(sketch)
    return negative_margin(prior_adjusted(logits, softmax(logits)), sketch.given_labels)


def confident_learning(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Confident learning: margin of another class over the given one above each class's own threshold, `(n_samples,)`.
    Northcutt et al. 2021, arXiv 1911.00068.

    max_{k≠y} (p_k - t_k) - (p_y - t_y), with p out of fold and t_k the mean p_k of the samples given class k.
    """
    p = softmax(out_of_fold_logits(sketch))
    return negative_margin(p - class_thresholds(p, sketch.given_labels), sketch.given_labels)


@once_per_sketch
def out_of_fold_logits(sketch: GradientSketch) -> Array:
    """Held-out logits of the cross-validated head, `(n_samples, n_classes)`."""
    assert sketch.steady_features is not None, "the registry asks for features"
    order = canonical_order(sketch)
    folds = np.empty(len(sketch), dtype=np.int64)
    by_class = order[np.argsort(sketch.given_labels[order], kind="stable")]
    folds[by_class] = np.arange(len(order)) % FOLDS
    whitened = _whitened(standardised(sketch.steady_features))
    return _held_out_logits(whitened, sketch.given_labels, sketch.n_classes, folds)


def _held_out_logits(x: Array, labels: Indices, n_classes: int, folds: Indices) -> Array:
    """Fit one multinomial logistic regression a fold, all at once, by Nesterov's accelerated gradient.

    With white features the loss's curvature is at most 1/2 (Böhning 1992), so the step needs no search.
    """
    n_samples = len(x)
    x = np.concatenate([x, np.ones((n_samples, 1), np.float32)], axis=1)
    weights = (folds[:, None] != np.arange(FOLDS)).astype(np.float32)
    weights /= np.maximum(weights.sum(axis=0), 1)
    penalty = np.full((len(x[0]), 1), PENALTY, dtype=np.float32)
    penalty[-1] = 0
    head = ahead = np.zeros((x.shape[1], FOLDS * n_classes), dtype=np.float32)
    for step in range(STEPS):
        z = (x @ ahead).reshape(n_samples, FOLDS, n_classes)
        z -= z.max(axis=2, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=2, keepdims=True)
        z[np.arange(n_samples), :, labels] -= 1
        z *= weights[:, :, None]
        moved = ahead - (x.T @ z.reshape(n_samples, -1) + penalty * ahead) / (0.5 + PENALTY)
        ahead = moved + step / (step + 3) * (moved - head)
        head = moved
    logits: Array = (x @ head).reshape(n_samples, FOLDS, n_classes)[np.arange(n_samples), folds]
    return logits


def _whitened(x: Array) -> Array:
    """Rotate and scale to nearly unit covariance; directions with little variance stay small."""
    variances, axes = np.linalg.eigh((x.T @ x).astype(np.float64) / max(len(x), 1))
    scales = (1 - WHITENING) * np.maximum(variances, 0) + WHITENING * max(float(variances.mean()), 1e-12)
    whitened: Array = x @ (axes / np.sqrt(scales)).astype(np.float32)
    return whitened
