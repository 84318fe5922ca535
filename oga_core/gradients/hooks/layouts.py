"""Where the batch is in the inputs of each call, in which order, and whether every batch meets the same calls.

Whose a packed sequence is does not show: texts are sorted by length before. So the order is noted where they are
sorted, packed and unpacked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Layout = int | str  # see Layouts
_PACK = torch._VF._pack_padded_sequence
_UNPACK = torch._VF._pad_packed_sequence
_SORTS = {torch.index_select, Tensor.index_select}
REORDERS = {*_SORTS, _PACK, _UNPACK}
"""Functions after which the order of the samples is noted on what they return."""


class Layouts:
    """Where the batch is in the inputs of each call of a forward pass.

    0: first axis; 1: second axis; "folded": the first axis is batch x something; "interleaved": something x batch.
    Passes with different batch sizes leave few possibilities, a comparison with the one-by-one loop decides the rest.

    changed: whether a pass met other calls than the passes before it, as where samples are routed by their content:
        then positions of calls say nothing.
    """

    def __init__(self) -> None:
        self.learning = True
        self.watching = False
        self.changed = False
        self.n_calls = 0
        self._possible: dict[int, list[Layout]] = {}
        self._names: defaultdict[int, set[str]] = defaultdict(set)

    def find(self, call: int, shape: Sequence[int], n: int) -> Layout | None:
        """Return the layout of the input of call number `call`, None if its shape holds no batch."""
        if self.learning:
            possible = _possible_layouts(shape, n)
            self._possible[call] = [layout for layout in self._possible.get(call, possible) if layout in possible]
        layout = next(iter(self._possible.get(call, [])), None)
        if call not in self._possible or not (layout is None or _fits(layout, shape, n)):
            self.changed = True
            return None
        return layout

    def belongs(self, call: int, name: str) -> None:
        """Note that the call meets the parameter called `name`."""
        if self.watching:
            self.changed |= name not in self._names[call]
        else:
            self._names[call].add(name)

    def end(self, n_calls: int) -> None:
        """Say how many calls a whole forward pass made."""
        if self.watching:
            self.changed |= n_calls != self.n_calls
        self.n_calls = n_calls

    def forget(self) -> None:
        """Learn from the start."""
        self._possible.clear()
        self._names.clear()

    def rule_out(self, wrong: set[str]) -> bool:
        """Take the next possibility for calls of parameters whose gradient was wrong; False where there is none."""
        open_calls = [call for call, rest in self._possible.items() if len(rest) > 1 and self._names[call] & wrong]
        for call in open_calls:
            self._possible[call].pop(0)
        return bool(open_calls)


def per_sample(values: Tensor, layout: Layout | None, n: int) -> Tensor:
    """Add up what belongs to one sample where the first axis holds more than the batch of `n`."""
    if layout == "folded":
        return values.unflatten(0, (n, -1)).sum(1)
    return values.unflatten(0, (-1, n)).sum(0) if layout == "interleaved" else values


def _possible_layouts(shape: Sequence[int], n: int) -> list[Layout]:
    possible: list[Layout] = [0] if shape[0] == n else []
    if len(shape) > 2 and shape[1] == n:
        possible.append(1)
    if shape[0] % n == 0 and shape[0] > n:
        possible += ["folded", "interleaved"]
    return possible


def _fits(layout: Layout, shape: Sequence[int], n: int) -> bool:
    """Whether a shape can have a known layout; what is folded may have the length one, as a text of one token."""
    if layout in (0, 1):
        return len(shape) > int(layout) and shape[int(layout)] == n
    return shape[0] % n == 0


def note_order(func: Any, args: Sequence[Any], output: Any, n: int) -> None:
    """Note on sequences that are sorted, packed or unpacked which sample each is of, where that is known."""
    first = args[0]
    order = getattr(first, "_oga_order", None)
    if func in _SORTS:
        if len(args) < 3 or len(args[2]) != n or first.shape[args[1]] != n:
            return
        order = args[2] if order is None else order[args[2]]
        output._oga_order = order
    elif func is _PACK and order is None:
        output[0]._oga_order = torch.arange(n, device=first.device)
    elif order is not None:
        output[0]._oga_order = order


class Packed:
    """Packed sequences, padded as `(time, batch, size)`, and how to go back; those that ended are not `alive`."""

    def __init__(self, data: Tensor, sizes: Tensor, order: Tensor):
        self.order = order
        self.padded, self.lengths = _UNPACK(data, sizes, False, 0.0, len(sizes))
        steps = torch.arange(len(sizes))[:, None]
        self.alive = (steps < self.lengths).to(self.padded.device)[..., None]

    def of_samples(self, values: Tensor) -> Tensor:
        """Bring `(time, batch, size)` into `(samples, time, size)`, in the order of the samples."""
        return values[:, self.order.argsort()].transpose(0, 1)

    def again(self, outputs: Tensor) -> Tensor:
        """Return the outputs `(time, batch, size)` packed as the input was."""
        values: Tensor = _PACK(outputs, self.lengths, False)[0]
        values._oga_order = self.order  # type: ignore[attr-defined]
        return values


def packed_sequences(data: Tensor, sizes: Tensor, n: int) -> Packed | None:
    """Return the sequences of `n` samples that a recurrent layer is given; None where it is not known whose they are.

    sizes: how many sequences go on in each step.
    """
    order: Tensor | None = getattr(data, "_oga_order", None)
    if order is None or not len(order) == n == int(sizes[0]):
        return None
    return Packed(data, sizes, order)
