"""Class logits on a scale on which they can be compared and added: log-likelihoods, without the classes' shares."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Array, Indices, Values, cross_entropy, evenly_spaced, filled, in_blocks, room, softmax

LARGEST_MARGIN = 30.0
"""Calibrated logits of separable classes would grow without end; e^-30 is as good as never."""
NEWTON_STEPS = 16
CONVERGED = 1e-5
"""Relative change of the scale, the precision of its float32 sums: steps beyond it cost and change nothing."""
FITTED_SAMPLES = 100_000
"""One factor is known to less than a hundredth of itself from so many."""
FITTED_CELLS = 4_000_000
"""Of samples times classes: with 2,000 classes 2,000 samples, which are enough for one factor."""
SHARPNESS = 2.0
"""What the evidence against a label counts, on the logit scale. The ensemble's probabilities are those of labels with
their noise, which lie nearer to a half than those of the true classes. Chosen among 1.3, 1.6 and 2 with the shared
photographs and sentences in view (`tests/benchmarks/expectation.py --calibration`)."""
LEAST = 1e-4
"""Probabilities nearer to 0 or 1 than this are rounding, not knowledge."""
SHARE_PRIOR = 0.5
"""Samples added to every class, so that a class without any has a share (Jeffreys' prior)."""


def log_shares(labels: Indices, n_classes: int) -> Array:
    """Log of the share of samples given each class, `(n_classes,)`."""
    counts = np.bincount(labels, minlength=n_classes) + SHARE_PRIOR
    shares: Array = np.log(counts / counts.sum()).astype(np.float32)
    return shares


def calibrated(logits: Array, labels: Indices) -> Array:
    """Scale logits by the one factor that makes the labels most likely, `(n_samples, n_classes)`.

    Temperature scaling, Guo et al. 2017, arXiv 1706.04599, with logits that the labels did not make. They are
    log-likelihoods: the shares of the classes are added before the softmax, and are not in what is returned.
    """
    whole: Array = filled(room(logits.shape), lambda part: logits[part] - logits[part].max(axis=1, keepdims=True))
    shares = log_shares(labels, whole.shape[1])
    rows = evenly_spaced(np.arange(len(whole)), min(FITTED_SAMPLES, FITTED_CELLS // whole.shape[1] + 1))
    few = whole[rows]
    at_label = few[np.arange(len(rows)), labels[rows]]
    typical = float(np.abs(few).mean()) or 1.0
    scale = 1.0 / typical
    for _ in range(NEWTON_STEPS):
        p = softmax(np.float32(scale) * few + shares)
        mean = np.einsum("ij,ij->i", p, few)
        slope = float((at_label - mean).mean())
        curvature = float((np.einsum("ij,ij,ij->i", p, few, few) - mean**2).mean())
        step = slope / max(curvature, 1e-12)
        before = scale
        scale = float(np.clip(scale + step, scale / 3, min(scale * 3, LARGEST_MARGIN / typical)))
        if abs(scale - before) <= CONVERGED * scale:
            break
    whole *= np.float32(scale)
    return whole


def log_likelihood(logits: Array, labels: Indices) -> float:
    """Mean log probability of the labels, by log-likelihoods of the classes and the shares of the labels."""
    shares = log_shares(labels, logits.shape[1])
    return -float(in_blocks(lambda part: cross_entropy(logits[part] + shares, labels[part]), len(labels)).mean())


def information(logits: Array, labels: Indices) -> float:
    """What the logits tell of the labels beyond the shares of the classes, in nats a label; 0 or less: nothing."""
    shares = log_shares(labels, logits.shape[1])
    shares -= shares.max()
    without = (np.log(np.exp(shares).sum()) - shares).astype(np.float64)  # what logits of 0 lose at each label
    return log_likelihood(logits, labels) + float(without[labels].mean())


def wrong_at_rate(given: Values, score: Values, rate: float) -> Values:
    """The probability that each label is wrong, `(n_samples,)`, with the mean `rate`, above 0 and below 1.

    given: `(n_samples,)` probabilities of the given labels.
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    against = SHARPNESS * logit(np.clip(1 - given, LEAST, 1 - LEAST))
    level = brentq(lambda shift: float(expit(against + shift).mean()) - rate, -50, 50)
    return _rising(expit(against + level), score)


def _rising(values: Values, score: Values) -> Values:
    from sklearn.isotonic import IsotonicRegression

    known = np.isfinite(score)
    result = values.copy()
    result[known] = IsotonicRegression().fit(score[known], values[known]).predict(score[known])
    return result
