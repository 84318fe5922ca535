"""Embeddings: the row that an index names gets the gradient at the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import Factor, working
from oga_core.gradients.factors.products import LookupFactor
from oga_core.gradients.hooks.calls import Call
from oga_core.gradients.hooks.tape import Make, Site, Tape

aten = torch.ops.aten
_OF_ATEN = ("weight", "indices", "padding_idx", "scale_grad_by_freq", "sparse")
_LOOKUPS: dict[Any, tuple[str, ...]] = {
    F.embedding: ("indices", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
    torch.embedding: _OF_ATEN,
    aten.embedding.default: _OF_ATEN,
}


def embedding(tape: Tape, func: Any, call: Call) -> Any:
    """A lookup of rows by indices that are data."""
    indices = call["indices"]
    site = Site(tape, call, indices, (*indices.shape, 1))
    if site.layout is None or call["scale_grad_by_freq"] or call["weight"].ndim != 2 or tape.sink(indices):
        return None
    return _lookup(tape, func, call, site)


def looked_up(tape: Tape, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A lookup of rows by indices that are no data, the same for every sample, as positions are."""
    if func not in _LOOKUPS:
        return None
    call = Call(_LOOKUPS[func], args, kwargs)
    weight = call["weight"]
    indices = call["indices"]
    site = Site(tape, call, indices, (*indices.shape, 1))
    if not tape.sink(weight) or weight.requires_grad or call["scale_grad_by_freq"]:
        return None
    if site.layout in (0, 1):  # already repeated for each sample
        output = _lookup(tape, func, call, site)
        tape.watch((output,))
        return output
    return tape.derived(weight, func(*args, **kwargs), _of_rows(indices, len(weight), _padding(call)))


def _lookup(tape: Tape, func: Any, call: Call, site: Site) -> Any:
    take = site.take("weight")
    assert take is not None
    n_rows = len(call["weight"])
    padding = _padding(call)

    def hook(gradient: Tensor) -> None:
        rows = site.positions(site.input()[..., None])[..., 0]
        gradient = site.positions(working(gradient))
        if padding is not None:
            gradient = gradient.masked_fill((rows == padding)[..., None], 0)
        take(LookupFactor(rows, gradient, n_rows))

    return tape.on_tape(call.run(func), hook)


def _of_rows(indices: Tensor, n_rows: int, padding: int | None) -> Make:
    """Return what turns a factor of looked-up rows into one of the table."""
    flat = indices.flatten()

    def make(factor: Factor) -> Factor:
        right = factor.explicit(slice(0, len(factor))).reshape(len(factor), len(flat), -1)
        if padding is not None:
            right = right.masked_fill((flat == padding)[:, None], 0)
        return LookupFactor(flat.expand(len(factor), -1), right, n_rows)

    return make


def _padding(call: Call) -> int | None:
    """The row without a gradient; -1 is none for aten, and the last row for the module."""
    padding = call["padding_idx"]
    if padding is None or (padding < 0 and call.names[0] == "weight"):
        return None
    return int(padding % len(call["weight"]))


RULES = {function: (names, embedding) for function, names in _LOOKUPS.items()}
