"""The plain methods: by vmap, and the loop over samples that is the last of all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import nn

from oga_core.gradients.factors.reduction import Reduction
from oga_core.gradients.failures import StartAgain, is_for_others
from oga_core.gradients.forward import Forward, Losses
from oga_core.gradients.methods.oracle import loop_gradients, vmap_gradients
from oga_core.tasks.task import Batch


class LoopMethod:
    """One backward pass a sample."""

    name = "loop"
    left_out: Collection[str] = ()

    def __init__(self, forward: Forward, parameters: Mapping[str, nn.Parameter]):
        self.forward = forward
        self.parameters = parameters
        self.checked = False

    def prepare(self, few: Batch, exact: Reduction, tolerance: float) -> None:
        """Nothing to learn."""

    def __call__(self, batch: Batch, reduction: Reduction) -> Losses:
        """Reduce the gradients of a batch."""
        parts = loop_gradients(self.forward.task, self.forward.model, batch, self.parameters, reduction.scale)
        reduction.reduce_parts({name: gradient[None] for name, gradient in part.items()} for part in parts)
        with torch.no_grad():
            return self.forward(batch)


class VmapMethod:
    """By `torch.func.vmap`.

    checked: whether a failure is the model's and not the method's. Raises `StartAgain` where it then fails.
    """

    name = "vmap"
    left_out: Collection[str] = ()

    def __init__(self, forward: Forward, parameters: Mapping[str, nn.Parameter], given_up: set[str]):
        self.forward = forward
        self.parameters = parameters
        self.given_up = given_up
        self.checked = False

    def prepare(self, few: Batch, exact: Reduction, tolerance: float) -> None:
        """Nothing to learn."""

    def __call__(self, batch: Batch, reduction: Reduction) -> Losses:
        """Reduce the gradients of a batch."""
        with torch.no_grad():
            losses = self.forward(batch)  # fails itself where the model is what fails
        try:
            parts = vmap_gradients(self.forward.task, self.forward.model, batch, self.parameters, reduction.scale)
            reduction.reduce_parts(parts)
        except Exception as error:
            if not self.checked or is_for_others(error):
                raise
            self.given_up.add(self.name)
            raise StartAgain from error
        return losses
