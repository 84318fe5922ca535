"""Recurrent layers over packed sequences: unpacked, run step by step, and packed again.

Whose a sequence is does not show in what is packed: texts are sorted by length before. So the order is noted where
sequences are sorted, packed and unpacked, and the rows of the factors are brought back into that of the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from oga_core.gradients.hooks.calls import Call
    from oga_core.gradients.hooks.tape import Tape

_PACK = torch._VF._pack_padded_sequence
_UNPACK = torch._VF._pad_packed_sequence
_SORTS = {torch.index_select, Tensor.index_select}
REORDERS = {*_SORTS, _PACK, _UNPACK}
"""Functions after which the order of the samples is noted on what they return."""


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
    """Sequences of a call, padded as `(time, batch, size)`, and how to go back."""

    def __init__(self, call: Call, order: Tensor):
        sizes = call["batch_sizes"]
        self.order = order
        self.padded, self.lengths = _UNPACK(call["input"], sizes, False, 0.0, len(sizes))
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


def packed_call(tape: Tape, call: Call) -> Packed | None:
    """Return the sequences of a recurrent call; None where it is not known whose they are."""
    order = getattr(call["input"], "_oga_order", None)
    if order is None or not len(order) == tape.n == int(call["batch_sizes"][0]):
        return None
    return Packed(call, order)
