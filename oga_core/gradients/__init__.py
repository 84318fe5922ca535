"""Per-sample gradients in reduced form: one pass over the data, from which every score is computed."""

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import PassResult, gradient_pass, outputs_pass

__all__ = ["PassOptions", "PassResult", "gradient_pass", "outputs_pass"]
