"""Logistic heads on frozen features, trained in folds, so that no sample is judged by a head that saw its label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Rows, each_in_threads, filled, room, slices
from oga_core.scores.feature_rows import ScaledRows

FOLDS = 5
STEPS = 12
PENALTY = 0.08
"""Ridge penalty in units of the mean loss; heads on few hundred features of noisy data want a strong one."""
WHITENING = 0.1
HELD = 1 << 26
"""Numbers of features that are held whitened, 256 MB, of a run in a file; more are made anew in each step."""
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
    whitened = WhitenedRows.of(features)
    x: Rows = filled(room(whitened.shape), whitened.__getitem__) if np.prod(whitened.shape) <= HELD else whitened
    weights = _weights(folds, without)
    penalty = np.full((x.shape[1], 1), PENALTY, dtype=np.float32)
    penalty[-1] = 0
    head: Array = np.zeros((x.shape[1], FOLDS * n_classes), dtype=np.float32)
    ahead: Array = head
    for step in range(STEPS):
        slope = _slope(x, ahead, labels, weights) + penalty * ahead
        moved = np.asarray(ahead - slope / (0.5 + PENALTY), dtype=np.float32)
        ahead = np.asarray(moved + step / (step + 3) * (moved - head), dtype=np.float32)
        head = moved

    def by_own(part: slice) -> Array:
        by_all = (x[part] @ head).reshape(-1, FOLDS, n_classes)
        own: Array = by_all[np.arange(len(by_all)), folds[part]]
        return own

    return filled(room((n_samples, n_classes)), by_own, max(1, CELLS // head.shape[1]))


def _weights(folds: Indices, without: NDArray[np.bool_] | None) -> Array:
    """What each sample counts for the head of each fold, `(n_samples, n_folds)`, the columns summing to 1."""
    weights: Array = room((len(folds), FOLDS))
    for part in slices(len(folds)):
        weights[part] = folds[part, None] != np.arange(FOLDS)
        if without is not None:
            weights[part][without[part]] = 0
    weights /= np.maximum(weights.sum(axis=0), 1)
    return weights


def _slope(x: Rows, head: Array, labels: Indices, weights: Array) -> Array:
    """Slope of the weighted loss of every fold's head, as `head`, `(n_features, folds * n_classes)`."""
    total: Array = np.zeros_like(head)

    def of(part: slice) -> Array:
        rows = x[part]
        z = (rows @ head).reshape(-1, FOLDS, head.shape[1] // FOLDS)
        z -= z.max(axis=2, keepdims=True)
        np.exp(z, out=z)
        z *= (weights[part] / z.sum(axis=2))[:, :, None]
        z[np.arange(len(z)), :, labels[part]] -= weights[part]
        slope: Array = rows.T @ z.reshape(len(z), -1)
        return slope

    for slope in each_in_threads(of, len(x), max(1, CELLS // head.shape[1])):
        total += slope
    return total


@dataclass(frozen=True, eq=False)
class WhitenedRows:
    """Rows turned and scaled to nearly unit covariance, and a 1; directions with little variance stay small."""

    features: ScaledRows
    turned: Array

    @classmethod
    def of(cls, features: Rows) -> WhitenedRows:
        """Measure the covariance, block by block."""
        x = ScaledRows.of(features)
        moment = np.zeros((x.shape[1], x.shape[1]))
        for part in slices(len(x)):
            rows = x[part]
            moment += rows.T @ rows
        variances, axes = np.linalg.eigh(moment / max(len(x), 1))
        scales = (1 - WHITENING) * np.maximum(variances, 0) + WHITENING * max(float(variances.mean()), 1e-12)
        return cls(x, (axes / np.sqrt(scales)).astype(np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_samples, n_features + 1)`."""
        return len(self.features), self.features.shape[1] + 1

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Indices) -> Array:
        whitened = self.features[rows] @ self.turned
        return np.concatenate([whitened, np.ones((len(whitened), 1), np.float32)], axis=1)


def folds_of(labels: Indices, order: Indices) -> Indices:
    """The fold of every sample, `(n_samples,)`, all classes spread over all of them."""
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(order)) % FOLDS
    return folds
