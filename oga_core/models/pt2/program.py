"""The compiled form of a graph: a flat list of calls on numbered slots, and the loop that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from oga_core.errors import OgaError

DEVICE = 0  # the slot that holds the device of the inputs
_FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
)


class GraphRunError(OgaError, RuntimeError):
    """A step of an uploaded model failed on these inputs."""


@dataclass(frozen=True)
class Slot:
    """Stands in an argument list for a value that exists only while the graph runs."""

    index: int


@dataclass(frozen=True)
class Step:
    """One call: the arguments that are known, and where the others come from.

    fills: (position or keyword, slot); lists: (position or keyword, list with slots in it).
    outputs: one slot, or a tuple of slots (None where the value is not used).
    frees: slots that no later step reads.
    """

    name: str
    function: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    fills: tuple[tuple[int, int], ...]
    lists: tuple[tuple[int, list[Any]], ...]
    kwfills: tuple[tuple[str, int], ...]
    outputs: int | tuple[int | None, ...]
    reads: frozenset[int]
    writes: bool = False
    frees: tuple[int, ...] = ()


@dataclass
class Program:
    """Steps in order, how many slots they use, and the slots to give back."""

    steps: list[Step]
    n_slots: int
    results: list[int]
    notes: list[str] = field(default_factory=list)

    def run(self, slots: list[Any]) -> list[Any]:
        """Run all steps on the given slots and return the results."""
        for step in self.steps:
            args = step.args.copy()
            for position, slot in step.fills:
                args[position] = slots[slot]
            for position, items in step.lists:
                args[position] = [slots[item.index] if type(item) is Slot else item for item in items]
            kwargs = step.kwargs
            if step.kwfills:
                kwargs = {**kwargs, **{name: slots[slot] for name, slot in step.kwfills}}
            try:
                result = step.function(*args, **kwargs)
            except (torch.OutOfMemoryError, GraphRunError):
                raise
            except _FAILURES as error:
                raise _run_error(step, args, error) from error
            if isinstance(step.outputs, int):
                slots[step.outputs] = result
            else:
                _unpack(step, result, slots)
            for slot in step.frees:
                slots[slot] = None
        return [slots[slot] for slot in self.results]


def _unpack(step: Step, result: Any, slots: list[Any]) -> None:
    outputs = step.outputs
    assert isinstance(outputs, tuple)
    if not outputs:
        return
    if not isinstance(result, (list, tuple)) or len(result) != len(outputs):
        raise GraphRunError(f"The model's step {step.name} gave another number of results than when it was exported.")
    for slot, value in zip(outputs, result, strict=True):
        if slot is not None:
            slots[slot] = value


def _run_error(step: Step, args: list[Any], error: Exception) -> GraphRunError:
    shapes = ", ".join(str(tuple(value.shape)) for value in args if isinstance(value, Tensor))
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return GraphRunError(
        f"The model's step {step.name} failed on tensors of shape {shapes or 'none'}: {reason}. Check the size of the "
        "inputs in the model card; if the model was exported without dynamic_shapes, export it again with them."
    )


def _made(step: Step) -> Iterable[int]:
    return [step.outputs] if isinstance(step.outputs, int) else [slot for slot in step.outputs if slot is not None]


def needed(steps: list[Step], results: Iterable[int]) -> list[Step]:
    """Leave out steps whose outputs nobody reads; what writes in place stays."""
    wanted = set(results)
    read: list[Step] = []
    for step in reversed(steps):
        if step.writes or wanted.intersection(_made(step)):
            wanted |= step.reads
            read.append(step)
    return read[::-1]


def with_frees(steps: list[Step], results: Iterable[int]) -> list[Step]:
    """Note at each step which slots it is the last to read, so that memory is given back at once."""
    alive = {DEVICE, *results}
    freed = []
    for step in reversed(steps):
        unread = {slot for slot in (*step.reads, *_made(step)) if slot not in alive}
        alive |= step.reads
        freed.append(replace(step, frees=tuple(sorted(unread))))
    return freed[::-1]


class NestedProgram:
    """A graph inside a step: a no_grad or enable_grad block (gradient), else an autocast block."""

    def __init__(self, program: Program, starts: list[int], gradient: bool | None):
        self.program = program
        self.starts = starts
        self.gradient = gradient

    def __call__(self, device: torch.device, *operands: Any) -> list[Any]:
        slots: list[Any] = [None] * self.program.n_slots
        slots[DEVICE] = device
        for slot, value in zip(self.starts, operands, strict=True):
            slots[slot] = value
        if self.gradient is None:
            with torch.autocast(device.type, enabled=False):
                return self.program.run(slots)
        with torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            return self.program.run(slots)
