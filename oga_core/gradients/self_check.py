"""Whether a pass computes the gradient: a few samples against gradients computed one by one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from oga_core.errors import OgaError
from oga_core.gradients.failures import is_out_of_memory
from oga_core.gradients.hooks.calls import LINEAR
from oga_core.gradients.hooks.forward_capture import ADDMM, CONVOLUTIONS, OPERANDS, ForwardCapture, product_of
from oga_core.gradients.options import CHECKED_SAMPLES
from oga_core.gradients.parameter_choice import some_of
from oga_core.tasks.batches import first_rows, n_samples, one_sample
from oga_core.tasks.task import Batch, Task

TOLERANCE = 1e-4  # relative error above which a method is wrong in float32
DOUBLE_TOLERANCE = 1e-5  # the same in float64, where what remains is a loss taken in float32
SHORT_TOLERANCE = 5e-2  # the same where numbers have 16 bits
ByParameter = Mapping[str, tuple[Tensor, Tensor]]  # a sketch before folding and a squared norm


def checked_rows(batch: Batch) -> Batch:
    """The few samples that are checked."""
    return first_rows(batch, min(CHECKED_SAMPLES, n_samples(batch)))


def largest_error(approximate: Tensor, exact: Tensor) -> float:
    """Largest L2 error of a row relative to the exact one; rows that are not finite are left out, nan where all are."""
    approximate = approximate.flatten(1)
    exact = exact.flatten(1)
    finite = exact.isfinite().all(1)
    error = (approximate - exact).norm(dim=1) / exact.norm(dim=1).clamp(min=1e-15)
    return float(error[finite].max()) if finite.any() else math.nan


def relative_errors(gradients: ByParameter, exact: ByParameter, left_out: Collection[str]) -> dict[str, float]:
    """Largest error over the samples of each parameter's gradient, relative to the whole gradient; "" for the whole.

    The whole's error is that of its sketches, parameter by parameter, or of its norm, whichever is larger; nan where
    there is nothing to compare, as where no sample has a finite gradient.
    """
    names = sorted(exact.keys() - set(left_out))
    finite = torch.stack([exact[name][0].isfinite().all(1) for name in names]).all(0) if names else None
    if finite is None or not finite.any():
        return {"": math.nan}
    pairs = [(gradients.get(name) or _zero(exact[name]), exact[name]) for name in names]
    squares = torch.stack([(one[0] - other[0])[finite].square().sum(1) for one, other in pairs])  # (parameter, sample)
    size = torch.stack([other[0][finite].square().sum(1) for _, other in pairs]).sum(0).clamp(min=1e-30)
    one_norm = torch.stack([one[1][finite] for one, _ in pairs]).sum(0).sqrt()
    other_norm = torch.stack([other[1][finite] for _, other in pairs]).sum(0).sqrt()
    of_norm = float(((one_norm - other_norm).abs() / other_norm.clamp(min=1e-15)).max())
    by_parameter = (squares / size).sqrt().amax(1).tolist()
    return {
        "": max(of_norm, float((squares.sum(0) / size).sqrt().max())),
        **dict(zip(names, by_parameter, strict=True)),
    }


def _zero(like: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(like[0]), torch.zeros_like(like[1])


def logit_gradients(task: Task, logits: Tensor, batch: Batch) -> Tensor:
    """Loss gradient at the logits, `(batch, n_classes)`."""
    leaf = logits.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(task.losses(leaf, batch).sum(), leaf)[0]


def head_gradients(task: Task, model: nn.Module, batch: Batch) -> Tensor | None:
    """Loss gradients of the last linear layer's weight, one by one, `(batch, n_classes, n_features)`.

    None where the layer is not found, or no gradient comes back to it.
    """
    gradients = [_head_gradient(task, model, one_sample(batch, row)) for row in range(len(batch["labels"]))]
    arrived = [gradient for gradient in gradients if gradient is not None]
    return torch.stack(arrived) if len(arrived) == len(gradients) else None


def _head_gradient(task: Task, model: nn.Module, sample: Batch) -> Tensor | None:
    with ForwardCapture(), _LeafWeights() as leaves:
        outputs = task.outputs(model, sample)
    product = product_of(outputs)
    if product is None:
        return None
    try:
        with torch.enable_grad():
            gradient = torch.autograd.grad(task.losses(outputs, sample).sum(), product.weight)[0]
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return None
    return gradient.T if id(product.weight) in leaves.transposed else gradient.flatten(1)


class State:
    """What a model keeps in its buffers, and whether a run in eval mode changed it."""

    def __init__(self, model: nn.Module) -> None:
        self.buffers = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}

    def changed(self) -> list[str]:
        """Names of the buffers that were written into."""
        return [name for name, (buffer, kept) in self.buffers.items() if not torch.equal(buffer, kept)]

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for name in self.changed():
            buffer, kept = self.buffers[name]
            buffer.copy_(kept)


def changing(buffers: Sequence[str]) -> OgaError:
    """The error for a model whose gradients depend on what ran before, by way of what it keeps."""
    return OgaError(
        f"The model writes into {some_of(buffers)} whenever it runs, in eval mode too, so that the gradient of a "
        "sample depends on what ran before. Write into buffers under 'if self.training:' alone."
    )


class _LeafWeights(TorchFunctionMode):
    """Gives every linear layer and convolution a weight that asks for a gradient, where the model asks for none too."""

    def __init__(self) -> None:
        super().__init__()
        self.transposed: dict[int, Tensor] = {}  # holds them, so that ids are not used again

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch.enable_grad():
            position = OPERANDS[func in ADDMM].index("weight")
            if (func in LINEAR or func in ADDMM or func in CONVOLUTIONS) and len(args) > position:
                leaf = args[position].detach().requires_grad_()
                args = (*args[:position], leaf, *args[position + 1 :])
                if func in ADDMM:
                    self.transposed[id(leaf)] = leaf
            return func(*args, **(kwargs or {}))
