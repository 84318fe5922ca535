"""What a fit that leaves a sample out expects its loss to be: the default score under a loss of one's own."""

from __future__ import annotations

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Values
from oga_core.scores.estimators.discriminant import standardised
from oga_core.scores.regression.ridge import robust_ridge
from oga_core.scores.regression.witnesses import narrow


def unusual_loss(sketch: GradientSketch) -> Values:
    """How much larger each loss is than a robust ridge regression on the features expects that leaves it out.

    `(n_samples,)`, in units of the loss: hard samples, whose like have large losses too, come after wrong ones. Raises
    `OgaError` where the model has no last linear layer.
    """
    if sketch.features is None:
        raise OgaError("The score 'oga' needs the inputs of a last linear layer. Choose isolation_forest_sketch.")
    return robust_ridge(standardised(narrow(sketch.features)), np.asarray(sketch.losses, dtype=np.float64)).residuals
