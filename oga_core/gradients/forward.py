"""A model run on batches of a task: its losses, and what its outputs show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from torch import Tensor, nn

from oga_core.gradients.hooks.forward_capture import ForwardCapture
from oga_core.tasks.task import Batch, Task, TokenTask

ReadOutputs = Callable[[Tensor, ForwardCapture, Batch], dict[str, Tensor]]
ReadTokens = Callable[[Tensor, Tensor, Batch], dict[str, Tensor]]


@dataclass
class Losses:
    """The losses of a batch, `(batch,)`, and the arrays that its outputs show."""

    values: Tensor
    arrays: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Forward:
    """Runs a model and reads its outputs while they are there; the backward pass alone holds what it needs of them.

    middle: positions of the layers whose inputs are pooled. read: makes arrays of outputs and what was captured;
    read_tokens: the same of outputs and token losses, for a task that has a loss for every token.
    """

    task: Task
    model: nn.Module
    middle: tuple[int, ...]
    read: ReadOutputs
    read_tokens: ReadTokens

    def __call__(self, batch: Batch, watch: AbstractContextManager[object] | None = None) -> Losses:
        """Return losses and arrays, on the tape where gradients are enabled; `watch` sees the model run."""
        with watch or nullcontext(), ForwardCapture(self.middle, batch.get("attention_mask")) as capture:
            outputs = self.task.outputs(self.model, batch)
        if not isinstance(self.task, TokenTask):
            return Losses(self.task.losses(outputs, batch), self.read(outputs, capture, batch))
        losses = self.task.token_losses(outputs, batch)
        return Losses(self.task.mean_losses(losses, batch), self.read_tokens(outputs, losses, batch))
