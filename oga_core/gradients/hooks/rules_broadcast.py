"""Parameters that are copied for every sample: by broadcasting, by expansion, as a bias of attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import DirectFactor, canonical, wide
from oga_core.gradients.hooks.calls import Call, plain, plain_name
from oga_core.gradients.hooks.tape import Tape

aten = torch.ops.aten
ELEMENTWISE = {
    *("add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "div", "truediv", "rtruediv", "itruediv"),
    *("true_divide", "pow", "rpow", "maximum", "minimum", "where", "addcmul", "lerp"),
}
_SPREADS = {"expand", "repeat", "tile", "broadcast_to"}


def elementwise(tape: Tape, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A function that broadcasts: the parameter is copied along the batch axis."""
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    data = max((tensor for tensor in tensors if not tape.sink(tensor)), key=lambda tensor: tensor.ndim)
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    layout = tape.layout((1,) * (len(shape) - data.ndim) + tuple(data.shape))
    if layout is None:
        return None
    axis = 1 if layout == 1 else 0

    def copied(value: Any) -> Any:
        if not tape.sink(value):
            return value
        copies = tape.expanded(value, shape, axis, layout)
        return tape.miss(value) if copies is None else copies

    return func(*map(copied, args), **{name: copied(value) for name, value in kwargs.items()})


def spread(tape: Tape, tensor: Tensor, shape: Sequence[int]) -> Tensor | None:
    """A parameter repeated along the batch axis and nowhere else but by expansion, as for class tokens."""
    layout = tape.layout(shape)
    if layout not in (0, 1):
        return None
    copies = tape.expanded(tensor, shape, int(layout), layout)
    if copies is None:
        return None
    try:
        copies = copies.expand(*shape)
    except RuntimeError:
        return None
    tape.watch((copies,))
    return copies


def spread_alone(tape: Tape, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """A parameter repeated by its own method, to a size that is the batch's."""
    if plain_name(func) not in _SPREADS or not args or not isinstance(args[0], Tensor):
        return None
    repeated = func(*(plain(value) for value in args), **kwargs)
    if repeated.ndim == args[0].ndim and repeated.shape[0] == tape.n * len(args[0]) > tape.n:
        return _stacked(tape, args[0], repeated)
    return spread(tape, args[0], repeated.shape)


def _stacked(tape: Tape, tensor: Tensor, repeated: Tensor) -> Tensor | None:
    """A parameter of several rows written out for each sample, one sample's after the other's."""
    sink = tape.sink(tensor)
    if sink is None or tape.layout(repeated.shape) != "folded" or repeated.shape[1:] != tensor.shape[1:]:
        return None
    take = tape.route(sink)

    def hook(gradient: Tensor) -> None:
        take(DirectFactor(wide(gradient).reshape(tape.n, *sink.shape), canonical(sink.shape)))

    repeated = tape.on_tape(repeated, hook)
    tape.watch((repeated,))
    return repeated


def attention(tape: Tape, func: Any, call: Call) -> Any:
    """Attention with a learned bias: copied for each sample."""
    query = call["query"]
    key = call["key"]
    layout = tape.layout(query.shape)
    if layout not in (0, "folded") or any(tape.sink(call[name]) for name in ("query", "key", "value")):
        return None
    copies = tape.expanded(call["attn_mask"], (*query.shape[:-1], key.shape[-2]), 0, layout)
    if copies is None:
        return None
    rest = {name: value for name, value in call.kwargs.items() if name != "attn_mask"}
    return func(query, key, call["value"], copies, *call.args[4:], **rest)


_ATTENTIONS = (F.scaled_dot_product_attention, aten.scaled_dot_product_attention.default)
RULES = {**dict.fromkeys(_ATTENTIONS, (("query", "key", "value", "attn_mask"), attention))}
