"""A loss of one's own: any function of (outputs, target), which sees one sample at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from oga_core.errors import OgaError

LossFunction = Callable[[Tensor, Tensor], Tensor]


def of_one_sample(function: LossFunction, outputs: Tensor, target: Tensor) -> Tensor:
    """Return the loss of a batch of one sample as one number; what has more, as one for each output, is averaged.

    Raises `OgaError` where the function returns something else.
    """
    try:
        value: Any = function(outputs, target)
    except (TypeError, ValueError) as error:  # what it is given, not how it is run
        raise OgaError(
            f"loss fails on one sample: {error}. It is called as loss(outputs, target), with outputs "
            f"{tuple(outputs.shape)} and target {tuple(target.shape)}; a function of one's own can bring them together."
        ) from error
    if not isinstance(value, Tensor) or (value.ndim and value.shape[0] != 1):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise OgaError(f"loss returns {shape} for one sample. Return one number a sample, or the mean over samples.")
    return value.float().mean()


class OwnLoss:
    """The loss of every sample by a function that is given each of them as a batch of one.

    digest: changes with the function where it was read from a file, else empty.
    """

    def __init__(self, function: LossFunction, digest: str = ""):
        self.function = function
        self.digest = digest
        self._without_axis = False

    def __repr__(self) -> str:
        return f"OwnLoss({self.digest})"

    def columns(self, outputs: Tensor) -> Tensor:
        """Outputs of one axis as `(batch, 1)`; the function is given them as the model gives them."""
        self._without_axis = outputs.ndim == 1
        return outputs.unsqueeze(-1) if self._without_axis else outputs

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """The loss of every sample, `(batch,)`, differentiable in the outputs."""
        outputs = outputs[:, 0] if self._without_axis else outputs
        try:
            return torch.vmap(self._one)(outputs, target)
        except RuntimeError:  # a step that vmap does not know
            return torch.stack([self._one(*pair) for pair in zip(outputs, target, strict=True)])

    def _one(self, output: Tensor, target: Tensor) -> Tensor:
        return of_one_sample(self.function, output[None], target[None])
