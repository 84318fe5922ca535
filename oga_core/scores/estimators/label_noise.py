"""From log-likelihoods of the classes to the odds that a given label is wrong."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Array, Indices, Values
from oga_core.scores.estimators.calibration import log_shares
from oga_core.scores.estimators.confusion import anchored, anchors, either_way, joint_of_labels, one_way_share


def log_odds_of_another_label(logits: Array, labels: Indices, *, anchor: bool = False) -> Values:
    """Log odds that the true class is not the given one, P(true ≠ y | x, y) / P(true = y | x, y), `(n_samples,)`.

    P(true = k | x, y) ∝ p(x | k) · P(true = k, given = y). Two estimates of the joint are averaged: one in which noise
    may run one way, one in which it runs both, by how well they explain the samples whose class is beyond doubt.
    anchor: a third, read off those samples alone, counts as much as both; for logits that know them well.
    """
    one_way = joint_of_labels(logits, labels)
    counts = anchors(logits + log_shares(labels, logits.shape[1]), labels)
    share = one_way_share(one_way, counts)
    parts = [(share, one_way), (1 - share, either_way(one_way))]
    odds = sum(weight * _log_odds(logits, labels, joint) for weight, joint in parts)
    if anchor:
        odds = (odds + _log_odds(logits, labels, anchored(logits, labels, counts))) / 2
    return np.asarray(odds, dtype=np.float64)


def _log_odds(logits: Array, labels: Indices, joint: Values) -> Values:
    evidence = logits + np.log(np.maximum(joint.T, 1e-30).astype(np.float32))[labels]
    rows = np.arange(len(labels))
    at_label = evidence[rows, labels].copy()
    evidence[rows, labels] = -np.inf
    best = evidence.max(axis=1)
    odds: Values = (best + np.log(np.exp(evidence - best[:, None]).sum(axis=1)) - at_label).astype(np.float64)
    return odds
