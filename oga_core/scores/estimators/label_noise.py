"""From log-likelihoods of the classes to the odds that a given label is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Values, cross_entropy, softmax

SMOOTHING, SMOOTHING_SHARE = 2.0, 0.1
"""Samples that every pair of true and given class starts with, all pairs together at most this share of the data."""
ROUNDS = 20
LARGEST_MARGIN = 30.0


def calibrated(logits: Array, labels: Indices) -> Array:
    """Scale logits by the one factor that makes the labels most likely, `(n_samples, n_classes)`.

    Temperature scaling, Guo et al. 2017, arXiv 1706.04599, with logits that the labels did not make.
    """
    logits = (logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
    given = logits[np.arange(len(labels)), labels]
    typical = float(np.abs(logits).mean()) or 1.0
    scale = 1.0 / typical
    for _ in range(12):
        p = softmax(np.float32(scale) * logits)
        mean = np.einsum("ij,ij->i", p, logits)
        slope = float((given - mean).mean())
        curvature = float((np.einsum("ij,ij,ij->i", p, logits, logits) - mean**2).mean())
        step = slope / max(curvature, 1e-12)
        scale = float(np.clip(scale + step, scale / 3, min(scale * 3, LARGEST_MARGIN / typical)))
    result: Array = np.float32(scale) * logits
    return result


def log_likelihood(logits: Array, labels: Indices) -> float:
    """Mean log probability of the labels under the softmax of the logits."""
    return -float(cross_entropy(logits, labels).mean())


def joint_of_labels(logits: Array, labels: Indices) -> NDArray[np.float64]:
    """Estimate the joint distribution of true (rows) and given (columns) class, `(n_classes, n_classes)`, summing to 1.

    Expectation-maximisation with the class likelihoods held fixed (Saerens et al., Neural Computation 2002, for the
    pairs of classes); pairs that are never confused get next to nothing, so that noise that runs one way is seen.
    """
    from scipy.sparse import csr_array

    n_samples, n_classes = logits.shape
    members = csr_array((np.ones(n_samples, np.float32), (labels, np.arange(n_samples))), (n_classes, n_samples))
    p = softmax(logits)
    shares = np.bincount(labels, minlength=n_classes) / n_samples
    joint = (0.8 * np.eye(n_classes) + 0.2 / n_classes) * shares
    added = min(SMOOTHING / n_samples, SMOOTHING_SHARE / n_classes**2)
    for _ in range(ROUNDS):
        posterior = p * joint.T.astype(np.float32)[labels]
        posterior /= posterior.sum(axis=1, keepdims=True)
        counted = np.asarray((members @ posterior).T, dtype=np.float64) / n_samples
        joint = (counted + added) / (1 + added * n_classes**2)
    return joint


def log_odds_of_another_label(logits: Array, labels: Indices) -> Values:
    """Log odds that the true class is not the given one, P(true ≠ y | x, y) / P(true = y | x, y), `(n_samples,)`.

    P(true = k | x, y) ∝ p(x | k) · P(true = k, given = y), the joint estimated from the same logits.
    """
    evidence = logits + np.log(joint_of_labels(logits, labels).T.astype(np.float32))[labels]
    rows = np.arange(len(labels))
    given = evidence[rows, labels].copy()
    evidence[rows, labels] = -np.inf
    best = evidence.max(axis=1)
    odds: Values = (best + np.log(np.exp(evidence - best[:, None]).sum(axis=1)) - given).astype(np.float64)
    return odds
