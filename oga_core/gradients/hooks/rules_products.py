"""Linear layers and matrix products: the weight's gradient is a sum of outer products over positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import Factor, vector, wide_dtype, working
from oga_core.gradients.factors.products import LateFactor, ProductFactor
from oga_core.gradients.hooks.calls import Call, plain, plain_name
from oga_core.gradients.hooks.tape import Site, Tape
from oga_core.tasks.cross_entropy import late_token_losses

aten = torch.ops.aten
TRANSPOSES = {Tensor.T.__get__, Tensor.mT.__get__, Tensor.H.__get__, Tensor.mH.__get__}  # type: ignore[attr-defined]


def linear(tape: Tape, func: Any, call: Call) -> Any:
    """`input` · weightᵀ + bias."""
    return _product(tape, func, call, lambda factor: factor)


def matrix_product(tape: Tape, func: Any, call: Call) -> Any:
    """`input` · weight, plus bias for addmm; other products are contractions."""
    weight = call["weight"]
    if not tape.sink(weight) or weight.ndim != 2:
        return None
    return _product(tape, func, call, ProductFactor.transposed)


def transposed(tape: Tape, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The transpose of a parameter that is a matrix."""
    first = args[0] if args else None
    if not isinstance(first, Tensor) or first.ndim != 2 or first.requires_grad or not _transposes(func, args):
        return None
    return tape.derived(first, func(*args, **kwargs), Factor.transposed)


def _transposes(func: Any, args: Sequence[Any]) -> bool:
    name = plain_name(func)
    exchanged = name == "transpose" and {*args[1:]} in ({0, 1}, {-1, -2})
    return func in TRANSPOSES or name in ("t", "numpy_T") or exchanged


def _product(tape: Tape, func: Any, call: Call, oriented: Callable[[ProductFactor], Factor]) -> Any:
    data = call["input"]
    if tape.sink(data) or data.ndim < 2 or call["alpha"] not in (None, 1) or call["beta"] not in (None, 1):
        return None
    site = Site(tape, call, data)
    if site.layout is None:
        return None
    weight = site.take("weight")
    bias = site.take("bias")

    def hook(gradient: Tensor) -> None:
        gradient = site.positions(working(gradient))  # (batch, time, out)
        if weight:
            weight(oriented(ProductFactor(gradient, site.positions(site.input(gradient.dtype).conj()))))
        if bias:
            bias(vector(gradient.sum(1, dtype=wide_dtype(gradient))))

    return tape.on_tape(call.run(func), hook)


def late_losses(tape: Tape, func: Any, call: Call) -> Any:
    """Cross-entropy of logits that are made of `input` in passing; see `late_token_losses`."""
    data = call["input"]
    weight, bias, targets = call["weight"], call["bias"], call["targets"]
    site = Site(tape, call, data)
    if site.layout != 0 or tape.sink(data):
        return None
    of_weight = site.take("weight")
    of_bias = site.take("bias")
    counted = targets != call["ignored"]

    def hook(gradient: Tensor) -> None:
        states = site.input()
        factor = LateFactor(states, plain(weight), plain(bias), targets, counted, gradient)
        if of_weight:
            of_weight(factor)
        if of_bias:
            of_bias(factor.of_bias())

    return tape.on_tape(call.run(func), hook)


_OF_LINEAR = ("input", "weight", "bias")
_OF_ADDMM = ("bias", "input", "weight")
_OF_MATMUL = ("input", "weight")
_OF_LATE_LOSSES = ("input", "weight", "bias", "targets", "ignored")
RULES: dict[Any, tuple[tuple[str, ...], Any]] = {
    **dict.fromkeys((F.linear, aten.linear.default), (_OF_LINEAR, linear)),
    **dict.fromkeys((torch.addmm, Tensor.addmm, aten.addmm.default), (_OF_ADDMM, matrix_product)),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), (_OF_MATMUL, matrix_product)),
    **dict.fromkeys((torch.mm, Tensor.mm, aten.mm.default, aten.matmul.default), (_OF_MATMUL, matrix_product)),
    late_token_losses: (_OF_LATE_LOSSES, late_losses),
}
