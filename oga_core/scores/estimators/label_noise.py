"""From log-likelihoods of the classes to the odds that a given label is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oga_core.numerics import Array, Indices, Values, filled, in_threads, room
from oga_core.scores.estimators.calibration import log_shares
from oga_core.scores.estimators.confusion import (
    anchored,
    anchors,
    beyond_corners,
    either_way,
    joint_of_labels,
    one_way_share,
    ramp,
)

EXPLAINED = (0.08, 0.12)
"""Of the labels that the logits contradict, the share that a joint must call wrong for its directions to be believed in
part, and in full: noise that depends on more than the class, and classes that overlap, leave it next to nothing."""
AGREED = (0.4, 0.8)
"""Mean belief of all fits in noise one way from which each is taken at its word in part, and in full. Where noise runs
one way nearly all see it; where it fills a corner of the inputs, some do. Chosen with the truth in view on draws 0 and
100 to 102 of the benchmark's tables."""


@dataclass(frozen=True, eq=False)
class LabelNoise:
    """What one set of class logits tells of the noise in the labels.

    logits: calibrated log-likelihoods, `(n_samples, n_classes)`. joint: of true (rows) and given class. counts: labels
    given to the samples that are most surely of each class. explained: how far the joint calls wrong what the logits
    contradict, 0 to 1; one_way: how far noise is believed to run as the joint says, rather than both ways.
    """

    logits: Array
    labels: Indices
    joint: Values
    counts: Values
    explained: float
    one_way: float

    @classmethod
    def of(cls, logits: Array, labels: Indices, *, in_corners: bool = False) -> LabelNoise:
        """Fit the joint, and ask the samples on whose class there is no doubt whether it is right.

        in_corners: whether noise may fill a corner of the inputs, as in tables, and only look as if it ran one way.
        """
        joint = joint_of_labels(logits, labels)
        shares = log_shares(labels, logits.shape[1])
        with_shares = filled(room(logits.shape), lambda part: logits[part] + shares)
        counts = anchors(with_shares, labels)
        contradicted = float((with_shares.argmax(axis=1) != labels).mean())
        explained = ramp(float(1 - np.trace(joint)) / max(contradicted, 1e-12), *EXPLAINED)
        one_way = explained * one_way_share(joint, counts)
        if in_corners:
            one_way *= beyond_corners(joint)
        return cls(logits, labels, joint, counts, explained, one_way)

    def log_odds_of_another_label(self, *, agreed: float = 1.0, anchor: bool = False) -> Values:
        """Log odds that the true class is not the given one, P(true ≠ y | x, y) / P(true = y | x, y), `(n_samples,)`.

        P(true = k | x, y) ∝ p(x | k) · P(true = k, given = y). Two estimates of the joint are averaged: one in which
        noise may run one way, one in which it runs both, by how far the first is believed.
        agreed: by all fits together (see `agreement`). anchor: a third joint, read off the counts alone, counts as much
        as both; for logits that know these samples well.
        """
        odds = self._mixed(self.joint, agreed * self.one_way)
        if anchor:
            anchored_joint = anchored(self.logits, self.labels, self.counts)
            odds = (odds + self._mixed(anchored_joint, agreed * self.explained)) / 2
        return odds

    def _mixed(self, joint: Values, share: float) -> Values:
        """Mean log odds by the joint, which counts by its share, and by the same with noise both ways."""
        mixed = self._log_odds(joint)
        mixed *= share
        others = self._log_odds(either_way(joint))
        others *= 1 - share
        mixed += others
        return mixed

    def _log_odds(self, joint: Values) -> Values:
        by_label = np.log(np.maximum(joint.T, 1e-30).astype(np.float32))

        def odds(part: slice) -> Values:
            labels = self.labels[part]
            evidence = self.logits[part] + by_label[labels]
            rows = np.arange(len(labels))
            at_label = evidence[rows, labels].copy()
            evidence[rows, labels] = -np.inf
            best = evidence.max(axis=1)
            against = best + np.log(np.exp(evidence - best[:, None]).sum(axis=1))
            return np.asarray(against - at_label, dtype=np.float64)

        return in_threads(odds, len(self.labels))


def agreement(fits: Sequence[LabelNoise], weights: Sequence[float]) -> float:
    """How far each fit's belief in noise one way may count, 0 to 1, by what all believe: it is one fact of the data."""
    believed = [fit.one_way for fit in fits]
    return ramp(float(np.average(believed, weights=weights)), *AGREED)
