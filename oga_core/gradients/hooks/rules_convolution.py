"""Convolutions and transposed convolutions: the weight's gradient is a product with what its window sees."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.convolution import ConvolutionFactor, Geometry
from oga_core.gradients.factors.factor import ComputedFactor, Factor, vector, wide_dtype, working
from oga_core.gradients.hooks.calls import Call
from oga_core.gradients.hooks.tape import Site, Tape

aten = torch.ops.aten
_TRANSPOSED = {
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    *(aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input),
}


def convolution(tape: Tape, func: Any, call: Call) -> Any:
    """A convolution of any number of axes; a transposed one has input and gradient change places."""
    data = call["input"]
    weight = call["weight"]
    transposed = func in _TRANSPOSED or bool(call["transposed"])
    site = Site(tape, call, data)
    if tape.sink(data) or data.ndim != weight.ndim or site.layout not in (0, "folded"):
        return None
    geometry = _geometry(call, tuple(weight.shape[2:]))
    to_weight = site.take("weight")
    to_bias = site.take("bias")

    def hook(gradient: Tensor) -> None:
        gradient = working(gradient)
        if to_weight:
            inputs = site.input(gradient.dtype)
            pair = (inputs, gradient) if transposed else (gradient, inputs)
            to_weight(_unfolded(ConvolutionFactor(*pair, geometry), site))
        if to_bias:
            to_bias(vector(site.per_sample(gradient.flatten(2).sum(2, dtype=wide_dtype(gradient)))))

    return tape.on_tape(call.run(func), hook)


def _unfolded(factor: ConvolutionFactor, site: Site) -> Factor:
    """The gradients added up over the images of each sample, where the first axis holds several."""
    if site.layout == 0:
        return factor
    share = len(factor) // site.n

    def compute(rows: slice) -> Tensor:
        images = factor.explicit(slice(rows.start * share, rows.stop * share))
        return images.unflatten(0, (-1, share)).sum(1)

    return ComputedFactor(compute, factor.shape, site.n, factor.device)


def _geometry(call: Call, kernel: tuple[int, ...]) -> Geometry:
    dilation = _numbers(call["dilation"], 1, len(kernel))
    padding = tuple((size, size) for size in _numbers(_unless_named(call["padding"]), 0, len(kernel)))
    if call["padding"] == "same":
        whole = [gap * (size - 1) for gap, size in zip(dilation, kernel, strict=True)]
        padding = tuple((size // 2, size - size // 2) for size in whole)
    stride = _numbers(call["stride"], 1, len(kernel))
    return Geometry(kernel, stride, padding, dilation, call["groups"] or 1)


def _unless_named(padding: Any) -> Any:
    """The padding in numbers; that of "valid" is zero."""
    return None if isinstance(padding, str) else padding


def _numbers(value: Any, default: int, n_axes: int) -> tuple[int, ...]:
    """One number an axis."""
    value = default if value is None else value
    value = (value,) * n_axes if isinstance(value, int) else tuple(value)
    return value * n_axes if len(value) == 1 else value


_OF_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_OF_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_OF_ATEN = (*_OF_CONVOLUTION[:6], "transposed", "output_padding", "groups")
RULES: dict[Any, tuple[tuple[str, ...], Any]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), (_OF_CONVOLUTION, convolution)),
    **dict.fromkeys((aten.conv1d.default, aten.conv2d.default, aten.conv3d.default), (_OF_CONVOLUTION, convolution)),
    **dict.fromkeys((aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding), (_OF_CONVOLUTION, convolution)),
    **dict.fromkeys((torch.convolution, aten.convolution.default), (_OF_ATEN, convolution)),
    **dict.fromkeys(_TRANSPOSED, (_OF_TRANSPOSED, convolution)),
}
