"""Per-sample gradients by the plain methods. The loop is obviously correct, but slow: it checks the fast methods.

Both stand in where the fast pass does not do a model justice.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.tasks.batches import n_samples, one_sample, per_sample_parts
from oga_core.tasks.task import Batch, Task

VMAP_BYTES = 256 * 2**20  # gradients held at a time


def loop_gradients(
    task: Task, model: nn.Module, batch: Batch, parameters: Mapping[str, nn.Parameter], scale: float = 1.0
) -> Iterator[dict[str, Tensor]]:
    """Yield the gradient of one sample's loss · `scale` after the other, by name; zero where it does not depend."""
    required = {name: p.requires_grad for name, p in parameters.items()}
    for p in parameters.values():
        p.requires_grad_()
    try:
        with torch.enable_grad():
            for row in range(n_samples(batch)):
                sample = one_sample(batch, row)
                loss = task.losses(task.outputs(model, sample), sample).sum()
                yield _gradients(loss, parameters, scale)
    finally:
        for name, p in parameters.items():
            p.requires_grad_(required[name])


def _gradients(loss: Tensor, parameters: Mapping[str, nn.Parameter], scale: float) -> dict[str, Tensor]:
    if not loss.requires_grad:
        return {name: torch.zeros_like(p) for name, p in parameters.items()}
    incoming = torch.full_like(loss, scale)
    gradients = torch.autograd.grad(loss, list(parameters.values()), incoming, materialize_grads=True)
    return {name: dense(gradient) for name, gradient in zip(parameters, gradients, strict=True)}


def dense(gradient: Tensor) -> Tensor:
    """A gradient with all its zeros: that of an embedding with sparse=True has none."""
    return gradient.to_dense() if gradient.is_sparse else gradient


def depends(task: Task, model: nn.Module, batch: Batch, parameters: Mapping[str, nn.Parameter]) -> bool:
    """Whether the loss of a batch depends on any of the parameters by way of a gradient."""
    with torch.enable_grad():
        values = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        loss = task.losses(task.outputs(_Stateless(model, values), batch), batch).sum()  # type: ignore[arg-type]
        if not loss.requires_grad:
            return False
        return any(g is not None for g in torch.autograd.grad(loss, list(values.values()), allow_unused=True))


def vmap_gradients(
    task: Task, model: nn.Module, batch: Batch, parameters: Mapping[str, nn.Parameter], scale: float = 1.0
) -> Iterator[dict[str, Tensor]]:
    """Yield gradients of a few samples' losses · `scale` at a time, `(samples, *parameter shape)` by name, by vmap."""
    moving = per_sample_parts(batch)
    fixed = {name: value for name, value in batch.items() if name not in moving}
    values = {name: p.detach() for name, p in parameters.items()}

    def loss(values: dict[str, Tensor], sample: Batch) -> Tensor:
        one = {**{name: value[None] for name, value in sample.items()}, **fixed}
        return task.losses(task.outputs(_Stateless(model, values), one), one).sum() * scale  # type: ignore[arg-type]

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))
    step = max(1, VMAP_BYTES // (4 * sum(p.numel() for p in parameters.values())))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)  # slow, but right
        for start in range(0, n_samples(batch), step):
            yield gradients(values, {name: value[start : start + step] for name, value in moving.items()})


class _Stateless:
    """Calls a model with other values for its parameters."""

    def __init__(self, model: nn.Module, values: dict[str, Tensor]):
        self.model = model
        self.values = values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return torch.func.functional_call(self.model, self.values, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)
