"""The methods that answer which rows made a model say something, by name."""

from __future__ import annotations

METHODS = {
    "tracin": "dot product of the gradients: what one training step on the row does to the loss of the response",
    "cosine": "the same without the lengths of the gradients, so that rows of large loss do not come first",
    "datainf": "DataInf: the dot product after the mean of each row's own inverse curvature",
    "fisher": "the dot product after the damped inverse of the gradients' second moment, over all parameters",
    "ekfac": "the same, layer by layer, by EK-FAC and conjugate gradients; needs whole gradients",
}
DEFAULT_METHOD = "cosine"
"""The first by removal of those that need no whole gradients; the damped Fisher is close, and finds a row's own group
a little better. EK-FAC, which needs them, is ahead in both (one set of tests/benchmarks/answers/retrieval.py)."""
