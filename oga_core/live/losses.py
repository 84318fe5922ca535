"""The losses of a live model's samples, in batches, with the products of derivatives that influence needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oga_core.live.dataset import LiveData
from oga_core.live.task import LiveTask, device_of, require_module
from oga_core.numerics import Array, slices

BATCH_SIZE = 256
"""Samples whose graph of two derivatives is held at once."""


@dataclass(frozen=True)
class LiveLosses:
    """A copy of the caller's model that is not in training mode, and samples of which it has a loss."""

    model: nn.Module
    data: LiveData
    task: LiveTask
    batch_size: int

    @classmethod
    def of(
        cls,
        model: nn.Module,
        dataset: Any,
        loss: Any,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> LiveLosses:
        """Take what `per_sample_gradients` takes; raises `OgaError` naming the argument that is wrong."""
        require_module(model)
        data = LiveData.of(dataset, collate_fn)
        return cls(copy.deepcopy(model).eval(), data, LiveTask.of(data, loss), batch_size)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained, in the model's order."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def under(self, model: nn.Module) -> LiveLosses:
        """Return the same samples under another model."""
        return replace(self, model=model)

    def copied(self) -> LiveLosses:
        """Return the same samples under a copy of the model, whose parameters may change."""
        return self.under(copy.deepcopy(self.model))

    def at(self, rows: Iterable[int]) -> Tensor:
        """Return the losses of some samples, `(n_rows,)`, with their graph."""
        device = device_of(self.model)
        batch = {name: value.to(device) for name, value in self.data.batch(rows).items()}
        return self.task.losses(self.task.outputs(self.model, batch), batch)

    def values(self) -> Array:
        """Return the losses of all samples, `(n_samples,)`."""
        with torch.no_grad():
            return np.concatenate([losses.cpu().numpy() for losses in self._batches()]).astype(np.float32)

    def mean_gradient(self) -> list[Tensor]:
        """Return the gradient of the mean loss, one tensor a parameter."""
        totals = [torch.zeros_like(parameter) for parameter in self.parameters]
        for losses in self._batches():
            add(totals, torch.autograd.grad(losses.sum(), self.parameters))
        return [total / len(self) for total in totals]

    def hessian_product(self, direction: Sequence[Tensor]) -> list[Tensor]:
        """Return the Hessian of the mean loss times a direction, one tensor a parameter."""
        totals = [torch.zeros_like(parameter) for parameter in self.parameters]
        for losses in self._batches():
            gradient = torch.autograd.grad(losses.sum(), self.parameters, create_graph=True)
            add(totals, torch.autograd.grad(gradient, self.parameters, direction, materialize_grads=True))
        return [total / len(self) for total in totals]

    def slopes(self, direction: Sequence[Tensor]) -> Array:
        """Return the inner product of a direction with the gradient of every loss, `(n_samples,)`.

        Two backward passes a batch: the gradient weighted by what it is then derived by.
        """
        parts = []
        for losses in self._batches():
            weights = torch.ones_like(losses, requires_grad=True)
            gradient = torch.autograd.grad(losses, self.parameters, weights, create_graph=True)
            parts.append(torch.autograd.grad(gradient, weights, direction)[0].cpu().numpy())
        return np.concatenate(parts).astype(np.float32)

    def _batches(self) -> Iterator[Tensor]:
        for part in slices(len(self), self.batch_size):
            yield self.at(range(part.start, min(part.stop, len(self))))


def add(totals: Sequence[Tensor], parts: Sequence[Tensor]) -> None:
    """Add tensors to others in place."""
    for total, part in zip(totals, parts, strict=True):
        total += part
