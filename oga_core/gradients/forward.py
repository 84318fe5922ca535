"""A model run on batches of a task: its losses, and what its outputs show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from oga_core.gradients.hooks.forward_capture import ForwardCapture, Survey, survey
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.tasks.batches import first_rows
from oga_core.tasks.language.late_head import LateHead, head_input, output_layer
from oga_core.tasks.task import Batch, PairTask, Task, TokenTask

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
    read_tokens: the same of outputs and token losses, for a task that has a loss for every token. late_head: whether
    the last layer of a language model is multiplied out only where a token counts.
    """

    task: Task
    model: nn.Module
    middle: tuple[int, ...]
    read: ReadOutputs
    read_tokens: ReadTokens
    late_head: bool = False

    def __call__(self, batch: Batch, watch: AbstractContextManager[object] | None = None) -> Losses:
        """Return losses and arrays, on the tape where gradients are enabled; `watch` sees the model run."""
        if isinstance(self.task, TokenTask):
            return self._of_tokens(self.task, batch, watch or nullcontext())
        capturing = ForwardCapture(self.middle, batch.get("attention_mask"), by_token="word_places" in batch)
        with watch or nullcontext(), capturing as capture:
            outputs = self.outputs(batch)
        return Losses(self.task.losses(outputs, batch), self.read(outputs, capture, batch))

    def _of_tokens(self, task: TokenTask, batch: Batch, watch: AbstractContextManager[object]) -> Losses:
        """The same for a language model, whose states a late head keeps: nothing else of its layers is read."""
        with watch, nullcontext() if self.late_head else ForwardCapture():
            outputs = self.outputs(batch)
            # What is left of a late head is multiplied out with the losses, and its gradient may be asked for.
            losses = task.token_losses(outputs, batch) if self.late_head else None
        losses = task.token_losses(outputs, batch) if losses is None else losses
        return Losses(task.mean_losses(losses, batch), self.read_tokens(outputs, losses, batch))

    def outputs(self, batch: Batch) -> Tensor:
        """The model's outputs, or what stands in for the logits until the loss needs them."""
        return outputs_of(self.task, self.model, batch, late_head=self.late_head)


def outputs_of(task: Task, model: nn.Module, batch: Batch, *, late_head: bool) -> Tensor:
    """The model's outputs, logits of a language model as a stand-in where the head is late."""
    with LateHead(model) if late_head else nullcontext():
        return task.outputs(model, batch)


@torch.no_grad()
def suits_late_head(task: Task, model: nn.Module, parameters: Iterable[Tensor], batch: Batch) -> bool:
    """Whether a language model's logits are the product of one layer and nothing more.

    Where the layer is among `parameters`, its gradient is that of a sum over single tokens: of pairs it is not, and of
    a bias that is multiplied or added to afterwards nothing is known.
    """
    layer = output_layer(model)
    if not isinstance(task, TokenTask | PairTask) or layer is None:
        return False
    chosen = {id(parameter) for parameter in parameters}
    is_chosen = not chosen.isdisjoint(id(parameter) for parameter in layer.parameters())
    if is_chosen and isinstance(task, PairTask):
        return False
    logits = task.logits if isinstance(task, PairTask) else task.outputs
    with LateHead(model):
        given = head_input(logits(model, first_rows(batch, 1)))
    return given is not None and (id(layer.bias) not in chosen or given.bias is layer.bias)


@torch.no_grad()
def map_head(task: Task, model: nn.Module, first: Batch) -> dict[str, nn.Parameter]:
    """The weight and bias of the last layer, by name, where it makes a map of logits; none where another thing does.

    What enlarges the map afterwards has no weights.
    """
    with ForwardCapture() as capture:
        outputs = task.outputs(model, first)
    weight = capture.last_weight
    parameters = dict(model.named_parameters())
    name = next((name for name, parameter in parameters.items() if parameter is weight), None)
    if name is None or outputs.ndim != 4 or weight is None or len(weight) != outputs.shape[1]:
        return {}
    layer = name.rpartition(".")[0]
    return {name: part for name, part in parameters.items() if name.rpartition(".")[0] == layer}


def first_look(task: Task, model: nn.Module, choice: str, first: Batch) -> Survey:
    """Survey a model with a few samples, its logits held only where a pass over what is chosen holds them.

    One row of a language model tells all that there is to see: the first, which is the longest.
    """
    late_head = False
    if isinstance(task, TokenTask | PairTask):
        first = first_rows(first, 1)
        parameters = choose_parameters(model, instead_of_head(model) if choice == "head" else choice)
        late_head = suits_late_head(task, model, parameters.values(), first)
    return survey(lambda: outputs_of(task, model, first, late_head=late_head), len(first["labels"]))


def instead_of_head(model: nn.Module) -> str:
    """The choice of parameters for a model without classes, which has no head of its own."""
    return "lora" if any("lora_" in name for name, _ in model.named_parameters()) else "all"
