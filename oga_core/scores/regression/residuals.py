"""Scores from how far a number lies from what is expected of it."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Values
from oga_core.scores.regression.witnesses import model_residuals


def absolute_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Absolute error of the model, |y - ŷ|, in the units of the numbers, `(n_samples,)`, 0 or more; from no paper."""
    return np.abs(model_residuals(sketch))
