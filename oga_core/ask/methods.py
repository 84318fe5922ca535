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
"""Of those that need no whole gradients it finds a row's own group best. On the few queries measured by removal so far
EK-FAC comes first, and this one beside the damped Fisher (tests/benchmarks/answers/retrieval.py)."""
