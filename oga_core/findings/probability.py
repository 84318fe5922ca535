"""How likely each label is wrong, before anyone has looked: the one probability that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Values
from oga_core.scores.ensemble import is_informative, mean_probabilities

if TYPE_CHECKING:
    from oga_core.findings.noise import NoiseEstimate

SHARPNESS = 2.0
"""What the evidence against a label counts, on the logit scale. The ensemble's probabilities are those of labels with
their noise, which lie nearer to a half than those of the true classes. Chosen among 1.3, 1.6 and 2 with the shared
photographs and sentences in view (`tests/benchmarks/expectation.py --calibration`)."""
LEAST = 1e-4
"""Probabilities nearer to 0 or 1 than this are rounding, not knowledge."""


def wrong_label_probability(sketch: GradientSketch, score: Values, noise: NoiseEstimate) -> Values | None:
    """Return the probability that each given label is wrong, `(n_samples,)`, which rises with the score.

    From what the ensemble, which did not see the label, says against it; the mean is the middle of the noise rate's
    interval: its low end counts no ambiguous label as wrong, its high end all. Isotonic over the score, so that no
    sample is likelier wrong than one that ranks above it. None where the evidence tells nothing about the labels.
    """
    from scipy.optimize import brentq

    rate = (noise.low + noise.high) / 2
    if not is_informative(sketch) or not 0 < rate < 1:
        return None
    labels = np.asarray(sketch.given_labels)
    given = mean_probabilities(sketch)[np.arange(len(labels)), labels].astype(np.float64)
    against = SHARPNESS * logit(np.clip(1 - given, LEAST, 1 - LEAST))
    level = brentq(lambda shift: float(expit(against + shift).mean()) - rate, -50, 50)
    return _rising(expit(against + level), score)


def _rising(values: Values, score: Values) -> Values:
    from sklearn.isotonic import IsotonicRegression

    known = np.isfinite(score)
    result = values.copy()
    result[known] = IsotonicRegression().fit(score[known], values[known]).predict(score[known])
    return result
