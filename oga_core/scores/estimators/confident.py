"""Which class a sample is confidently of, by each class's own threshold. Northcutt et al. 2021, arXiv 1911.00068."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Floats, Indices, Values, filled, room


def class_thresholds(probabilities: Floats, labels: Indices) -> Values:
    """Mean probability of class k over the samples given class k, `(n_classes,)`; 1 for a class without samples."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    thresholds: Values = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    return thresholds


def most_confident_class(probabilities: Floats, labels: Indices) -> Indices:
    """The most probable class among those that reach their threshold, -1 where none does, `(n_samples,)`."""
    thresholds = class_thresholds(probabilities, labels)

    def of(part: slice) -> Indices:
        reached = probabilities[part] >= thresholds
        best = np.where(reached, probabilities[part], -1).argmax(axis=1)
        return np.where(reached.any(axis=1), best, -1)

    return filled(room(len(labels), np.int64), of)
