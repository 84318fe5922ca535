"""How often labels are dropped and added, by the surest ones, and which are wrong then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import Values

SUREST = 0.1
"""Share of the labels of either kind that count as sure: so many that chance tells a rate to a few per cent."""
USUAL = (0.1, 0.01)
"""What is believed before anything is seen: people leave out labels far more often than they make them up."""
BELIEF = 30
"""So many labels are what was believed worth, which a handful of sure ones does not outweigh."""
MOST = 0.45
"""Rates above half would say that a label means its opposite."""


@dataclass(frozen=True, eq=False)
class LabelRates:
    """Shares of true labels that are dropped and of absent ones that are added, and what follows for each label.

    probability: `(n_samples, n_labels)` that the label is wrong as it is given.
    """

    dropped: float
    added: float
    probability: Values

    @property
    def wrong(self) -> float:
        """The estimated share of labels that are wrong, 0 to 1."""
        return float(self.probability.mean())


def label_rates(logits: Values, given: Values) -> LabelRates:
    """Estimate the rates from log odds that a label is *given*, by fits that did not see it, and the labels.

    Of the labels that are surest to be there the share that is not given was dropped, and the other way about: anchors,
    Liu and Tao 2016, arXiv 1411.7718. A label that is given with probability p is there with probability
    (p - added) / (1 - dropped - added).
    """
    likely = 1 / (1 + np.exp(-logits))
    order = np.argsort(likely, axis=None, kind="stable")
    labels = given.ravel()[order]
    n_there = int(SUREST * labels.sum())
    n_absent = int(SUREST * (len(labels) - labels.sum()))
    dropped = _rate(n_there - labels[len(labels) - n_there :].sum(), n_there, USUAL[0])
    added = _rate(labels[:n_absent].sum(), n_absent, USUAL[1])
    there = np.clip((likely - added) / (1 - dropped - added), 1e-4, 1 - 1e-4)
    extra = (1 - there) * added
    missing = there * dropped
    wrong_given = extra / (there * (1 - dropped) + extra)
    wrong_absent = missing / (missing + (1 - there) * (1 - added))
    return LabelRates(dropped, added, np.where(given > 0, wrong_given, wrong_absent))


def _rate(count: float, total: int, usual: float) -> float:
    return min((float(count) + BELIEF * usual) / (total + BELIEF), MOST)
