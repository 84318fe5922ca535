"""Batches and results on their way between this machine's memory and a card's, which goes on working meanwhile.

A batch is copied from memory that the card reads by itself; what it makes is copied back on a stream of its own while
the next batch is worked on, and nobody reads it before it is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oga_core.tasks.task import Batch

Arrays = dict[str, NDArray[np.generic]]
Wait = Callable[[], Arrays]
T = TypeVar("T")
U = TypeVar("U")


class Transfers(Protocol):
    """How the batches of a pass come to a device, and results from it.

    behind: whether results are waited for only when the next batch has begun.
    """

    behind: bool

    def ready(self, batch: Batch) -> Batch:
        """Return the batch where copies to the device begin; called by the threads that decode."""
        ...

    def fetch(self, values: Mapping[str, Tensor]) -> Wait:
        """Begin to copy results; return what waits for them and gives them."""
        ...


class AtOnce:
    """Copies that are waited for, as where the processor itself does the work."""

    behind = False

    def ready(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def fetch(self, values: Mapping[str, Tensor]) -> Wait:
        """Copy results, and return what gives them."""
        arrays: Arrays = {name: value.cpu().numpy() for name, value in values.items()}
        return lambda: arrays


class Beside:
    """Copies beside the work of a device with streams."""

    behind = True

    def __init__(self, device: torch.device):
        self.device = device
        self.streams = torch.get_device_module(device)
        self.side = self.streams.Stream(device)

    def ready(self, batch: Batch) -> Batch:
        """Return the batch in memory that the card reads by itself; as it is where there is none left."""
        try:
            return {name: value.pin_memory() for name, value in batch.items()}
        except RuntimeError:
            return batch

    def fetch(self, values: Mapping[str, Tensor]) -> Wait:
        """Begin to copy results once they are made; return what waits for them and gives them."""
        self.side.wait_stream(self.streams.current_stream(self.device))
        with self.streams.stream(self.side):
            copies = {name: self._copy(value) for name, value in values.items()}
            there = self.streams.Event()
            there.record(self.side)

        def wait() -> Arrays:
            there.synchronize()
            return {name: copy.numpy() for name, copy in copies.items()}

        return wait

    def _copy(self, value: Tensor) -> Tensor:
        copy = _room_for(value).copy_(value, non_blocking=True)
        if value.device.type != "cpu":
            value.record_stream(self.side)  # else its memory would be given to the next batch before it is copied
        return copy


def transfers_for(device: torch.device) -> Transfers:
    """Return how batches and results are copied for a device: beside its work on cards of CUDA and ROCm."""
    return Beside(device) if device.type == "cuda" else AtOnce()


def in_turn(items: Iterable[T], begin: Callable[[T], U], *, behind: bool) -> Iterator[tuple[T, U]]:
    """Yield every item with what `begin` made of it, in order; `behind`: once the item after it has begun.

    Where an item fails to come or to begin, what began before it is yielded first, then the error is raised.
    """
    begun: deque[tuple[T, U]] = deque()
    try:
        for item in items:
            begun.append((item, begin(item)))
            if len(begun) > behind:
                yield begun.popleft()
    except Exception:
        yield from begun
        raise
    yield from begun


def _room_for(value: Tensor) -> Tensor:
    """Memory that a card writes to by itself; other memory where there is none left, which takes longer."""
    try:
        return torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    except RuntimeError:
        return torch.empty(value.shape, dtype=value.dtype)
