"""The methods that answer which rows made a model say something, by name."""

from __future__ import annotations

METHODS = {
    "tracin": "dot product of the gradients: what one training step on the row does to the loss of the response",
    "cosine": "the same without the lengths of the gradients, so that rows of large loss do not come first",
    "datainf": "DataInf: the dot product after the mean of each row's own inverse curvature",
    "fisher": "the dot product after the damped inverse of the gradients' second moment, over all parameters",
    "ekfac": "the same, layer by layer, by EK-FAC and conjugate gradients; needs whole gradients",
}
TITLES = {"tracin": "TracIn", "cosine": "Cosine", "datainf": "DataInf", "fisher": "Damped Fisher", "ekfac": "EK-FAC"}
OF_WHOLE, OF_SKETCHES = "ekfac", "cosine"
"""By removal of the top 2 % of the rows (tests/benchmarks/answers/retrieval.py, a small model) EK-FAC is ahead on one
set and level with cosine on two; cosine is the first of those that can do without whole gradients."""


def default_method(*, whole: bool) -> str:
    """The method that is used where none is asked for; whole: whether the run keeps whole gradients."""
    return OF_WHOLE if whole else OF_SKETCHES
