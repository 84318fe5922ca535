"""The precision of the self-check, and what the chosen precision costs against it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oga_core.gradients.devices import free_bytes, precision_context, repeatable

SCALES = (2.0**12, 2.0**4)
"""What losses are multiplied by where gradients have 5 bits of exponent, the second where the first is too much.

Below 6e-8 such numbers are zero, above 65,504 infinite. Trainers begin at 2^16 for the mean of a batch, which is 2^12
for each of 16 samples."""
NEARLY_EQUAL = 0.1  # relative difference below which the order of two samples is no ranking: scores differ by factors


@dataclass(frozen=True)
class Precision:
    """A precision on a device, with weights in `weights`, as they are where that is None."""

    device: torch.device
    name: str
    weights: torch.dtype | None = None

    @contextmanager
    def __call__(self, model: nn.Module) -> Iterator[None]:
        """Compute in it for a while."""
        with precision_context(self.device, self.name):
            if self.weights is None:
                yield
                return
            with repeatable(), _cast(model, self.weights):
                yield

    def attempts(self, model: nn.Module) -> list[tuple[Precision, float]]:
        """Precisions and scales of the losses, to be tried one after the other on samples that are not finite."""
        if not self.is_half(model):
            return [(self, 1.0)]
        wide = Precision(self.device, "float32", torch.float32 if is_short(model) else None)
        last = [(wide, 1.0)] if wide.fits(model) else []
        return [*((self, scale) for scale in SCALES), *last]

    def is_half(self, model: nn.Module) -> bool:
        """Whether what comes back in a backward pass may be in float16, whose small numbers are zero."""
        by_weights = self.weights is None and any(p.dtype == torch.float16 for p in model.parameters())
        return self.name == "float16" or by_weights

    def inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch with real numbers as the weights are."""
        if self.weights is None:
            return batch
        return {
            name: value.to(self.weights) if isinstance(value, Tensor) and value.is_floating_point() else value
            for name, value in batch.items()
        }

    def fits(self, model: nn.Module) -> bool:
        """Whether there is room for the weights once more."""
        if self.weights is None:
            return True
        if self.device.type == "mps" and self.weights == torch.float64:
            return False  # which it does not have
        size = sum(p.numel() * self.weights.itemsize for p in model.parameters() if p.dtype != self.weights)
        return size < free_bytes(self.device) / 4


def is_short(model: nn.Module) -> bool:
    """Whether the model has weights of 16 bits or fewer."""
    return any(p.is_floating_point() and p.element_size() < 4 for p in model.parameters())


def changes_ranking(exact: Tensor, other: Tensor) -> bool:
    """Whether two samples change places by the size of their sketches, `(samples, dim)`, or the sketches turn round.

    Two samples whose sizes are nearly equal have no order. A sketch has turned where its cosine with the exact one is
    below one half: it then points to other samples than it should.
    """
    if not other.isfinite().all():
        return True
    sizes = exact.norm(dim=1).tolist()
    others = other.norm(dim=1).tolist()
    for i, j in itertools.combinations(range(len(sizes)), 2):
        apart = abs(sizes[i] - sizes[j]) > NEARLY_EQUAL * max(sizes[i], sizes[j])
        if apart and (sizes[i] > sizes[j]) != (others[i] > others[j]):
            return True
    cosines = torch.nn.functional.cosine_similarity(exact, other.to(exact.dtype), dim=1)
    return bool((cosines[exact.norm(dim=1) > 0] < 0.5).any())


@contextmanager
def _cast(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """The model's real numbers in `dtype` for a while; afterwards they are the same to the last bit."""
    tensors = [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point() and t.dtype != dtype]
    originals = [tensor.data for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = tensor.data.to(dtype)
        yield
    finally:
        for tensor, data in zip(tensors, originals, strict=True):
            tensor.data = data
