"""Logistic heads on frozen features, trained in folds, so that no sample is judged by a head that saw its label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, slices
from oga_core.scores.estimators.discriminant import standardised

FOLDS = 5
STEPS = 12
PENALTY = 0.08
"""Ridge penalty in units of the mean loss; heads on few hundred features of noisy data want a strong one."""
WHITENING = 0.1
CELLS = 1 << 19
"""Probabilities worked on at once, 2 MB: with thousands of classes each step would else wait for memory."""


def held_out_logits(
    features: Array, labels: Indices, n_classes: int, order: Indices, *, without: NDArray[np.bool_] | None = None
) -> Array:
    """Logits by heads trained on the other four fifths, `(n_samples, n_classes)`.

    order: positions in an order that does not depend on that of the data. without: samples that no head is trained on.
    Fits one multinomial logistic regression a fold, all at once, by Nesterov's accelerated gradient. With white
    features the loss's curvature is at most 1/2 (Böhning 1992), so the step needs no search.
    """
    n_samples = len(features)
    folds = folds_of(labels, order)
    x: Array = np.concatenate([_whitened(standardised(features)), np.ones((n_samples, 1), np.float32)], axis=1)
    weights = (folds[:, None] != np.arange(FOLDS)).astype(np.float32)
    if without is not None:
        weights[without] = 0
    weights /= np.maximum(weights.sum(axis=0), 1)
    penalty = np.full((len(x[0]), 1), PENALTY, dtype=np.float32)
    penalty[-1] = 0
    head: Array = np.zeros((x.shape[1], FOLDS * n_classes), dtype=np.float32)
    ahead: Array = head
    for step in range(STEPS):
        slope = _slope(x, ahead, labels, weights) + penalty * ahead
        moved = np.asarray(ahead - slope / (0.5 + PENALTY), dtype=np.float32)
        ahead = np.asarray(moved + step / (step + 3) * (moved - head), dtype=np.float32)
        head = moved
    logits = np.empty((n_samples, n_classes), dtype=np.float32)
    for fold, weight in enumerate(np.split(head, FOLDS, axis=1)):
        logits[folds == fold] = x[folds == fold] @ weight
    return logits


def _slope(x: Array, head: Array, labels: Indices, weights: Array) -> Array:
    """Slope of the weighted loss of every fold's head, as `head`, `(n_features, folds * n_classes)`."""
    total: Array = np.zeros_like(head)
    for part in slices(len(x), max(1, CELLS // head.shape[1])):
        z = (x[part] @ head).reshape(-1, FOLDS, head.shape[1] // FOLDS)
        z -= z.max(axis=2, keepdims=True)
        np.exp(z, out=z)
        z *= (weights[part] / z.sum(axis=2))[:, :, None]
        z[np.arange(len(z)), :, labels[part]] -= weights[part]
        total += x[part].T @ z.reshape(len(z), -1)
    return total


def _whitened(x: Array) -> Array:
    """Rotate and scale to nearly unit covariance; directions with little variance stay small."""
    variances, axes = np.linalg.eigh((x.T @ x).astype(np.float64) / max(len(x), 1))
    scales = (1 - WHITENING) * np.maximum(variances, 0) + WHITENING * max(float(variances.mean()), 1e-12)
    whitened: Array = x @ (axes / np.sqrt(scales)).astype(np.float32)
    return whitened


def folds_of(labels: Indices, order: Indices) -> Indices:
    """The fold of every sample, `(n_samples,)`, all classes spread over all of them."""
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(order)) % FOLDS
    return folds
