"""From log-likelihoods of the classes to the odds that a given label is wrong."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Array, Indices, Values
from oga_core.scores.estimators.calibration import log_shares
from oga_core.scores.estimators.confusion import anchored, anchors, either_way, joint_of_labels, one_way_share

EXPLAINED = (0.08, 0.12)
"""Of the labels that the logits contradict, the share that a joint must call wrong for its directions to be believed in
part, and in full: noise that depends on more than the class, and classes that overlap, leave it next to nothing."""


def log_odds_of_another_label(logits: Array, labels: Indices, *, anchor: bool = False) -> Values:
    """Log odds that the true class is not the given one, P(true ≠ y | x, y) / P(true = y | x, y), `(n_samples,)`.

    P(true = k | x, y) ∝ p(x | k) · P(true = k, given = y). Two estimates of the joint are averaged: one in which noise
    may run one way, one in which it runs both, by how well they explain the samples whose class is beyond doubt, and
    by how much of what is contradicted the first explains at all.
    anchor: a third, read off those samples alone, counts as much as both; for logits that know them well.
    """
    one_way = joint_of_labels(logits, labels)
    with_shares = logits + log_shares(labels, logits.shape[1])
    counts = anchors(with_shares, labels)
    believed = _share_believed(one_way, float((with_shares.argmax(axis=1) != labels).mean()))
    share = believed * one_way_share(one_way, counts)
    odds = _mixed(logits, labels, one_way, share)
    if anchor:
        odds = (odds + _mixed(logits, labels, anchored(logits, labels, counts), believed)) / 2
    return odds


def _share_believed(joint: Values, contradicted: float) -> float:
    """How far the joint's directions are believed, 0 to 1."""
    explained = float(1 - np.trace(joint)) / max(contradicted, 1e-12)
    least, enough = EXPLAINED
    return float(np.clip((explained - least) / (enough - least), 0, 1))


def _mixed(logits: Array, labels: Indices, joint: Values, share: float) -> Values:
    """Mean log odds by the joint, which counts by its share, and by the same with noise both ways."""
    return share * _log_odds(logits, labels, joint) + (1 - share) * _log_odds(logits, labels, either_way(joint))


def _log_odds(logits: Array, labels: Indices, joint: Values) -> Values:
    evidence = logits + np.log(np.maximum(joint.T, 1e-30).astype(np.float32))[labels]
    rows = np.arange(len(labels))
    at_label = evidence[rows, labels].copy()
    evidence[rows, labels] = -np.inf
    best = evidence.max(axis=1)
    odds: Values = (best + np.log(np.exp(evidence - best[:, None]).sum(axis=1)) - at_label).astype(np.float64)
    return odds
