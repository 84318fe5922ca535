"""The methods that answer which rows made a model say something, by name."""

from __future__ import annotations

METHODS = {
    "tracin": "dot product of the gradients: what one training step on the row does to the loss of the response",
    "cosine": "the same without the lengths of the gradients, so that rows of large loss do not come first",
    "datainf": "DataInf: the dot product after the mean of each row's own inverse curvature",
    "fisher": "the dot product after the damped inverse of the gradients' second moment, over all parameters",
    "ekfac": "the same, layer by layer, by EK-FAC and conjugate gradients; needs whole gradients",
}
OF_WHOLE, OF_SKETCHES = "ekfac", "cosine"
"""The first by removal on whole gradients, and the first of those that can do without (the three sets of
tests/benchmarks/answers/retrieval.py)."""


def default_method(*, whole: bool) -> str:
    """The method that is used where none is asked for; whole: whether the run keeps whole gradients."""
    return OF_WHOLE if whole else OF_SKETCHES
