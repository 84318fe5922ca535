"""Normalisations: the scale's gradient is that at the output times the input normalised again, the shift's a sum."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import DirectFactor, canonical, vector, wide_dtype, working
from oga_core.gradients.hooks.calls import Call, plain_name
from oga_core.gradients.hooks.tape import Site, Tape

aten = torch.ops.aten
_LAYER_NORMS = (F.layer_norm, torch.layer_norm, aten.layer_norm.default, aten.native_layer_norm.default)
_RMS_NORMS = (F.rms_norm, torch.rms_norm, aten.rms_norm.default)


def over_last_axes(tape: Tape, func: Any, call: Call) -> Any:
    """Layer norm and root mean square norm: the parameters have the shape of the last axes."""
    site = Site(tape, call, call["input"])
    if site.layout is None or tape.sink(call["input"]):
        return None
    n_axes = len(call["normalized_shape"])

    def of_sample(values: Tensor) -> DirectFactor:
        shape = values.shape[values.ndim - n_axes :]
        sums = site.positions(values.flatten(-n_axes)).sum(1, dtype=wide_dtype(values))
        return DirectFactor(sums, canonical(shape))

    return _scaled_and_shifted(tape, func, call, site, of_sample)


def over_channels(tape: Tape, func: Any, call: Call) -> Any:
    """Group and instance norm: one scale and shift a channel."""
    site = Site(tape, call, call["input"])
    unknown = call["use_input_stats"] is False and call["running_mean"] is None
    if site.layout in (None, 1) or unknown or tape.sink(call["input"]):
        return None

    def of_sample(values: Tensor) -> DirectFactor:
        sums = values.flatten(2).sum(2, dtype=wide_dtype(values)) if values.ndim > 2 else values
        return vector(site.per_sample(sums))

    return _scaled_and_shifted(tape, func, call, site, of_sample)


def batch_norm(tape: Tape, func: Any, call: Call) -> Any:
    """Batch norm by running statistics: one kernel for the gradients of its scale, its shift and its input."""
    site = Site(tape, call, call["input"])
    if site.layout not in (0, "folded", "interleaved") or call["training"] or tape.sink(call["input"]):
        return None
    data = call["input"]
    weight = site.take("weight")
    bias = site.take("bias")

    def back(gradient: Tensor, of_input: bool) -> Tensor | None:
        gradient = working(gradient)
        inputs, scales, shifts = _of_running_statistics(call, site.input(gradient.dtype), gradient, of_input)
        if weight:
            weight(vector(site.per_sample(scales)))
        if bias:
            bias(vector(site.per_sample(shifts)))
        return inputs

    with torch.no_grad():
        output = call.run(func)
    if isinstance(output, tuple):
        return (tape.through(data, output[0], back), *output[1:])
    return tape.through(data, output, back)


def _of_running_statistics(
    call: Call, data: Tensor, gradient: Tensor, of_input: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gradients of the input where wanted, and of scale and shift, `(samples, channels)` each.

    Every sample's channels are taken as the channels of one sample.
    """
    shape = data.shape[:2]
    dtype = wide_dtype(data)
    eps = 1e-5 if call["eps"] is None else call["eps"]
    mean = call["running_mean"].to(dtype)
    variance = call["running_var"].to(dtype)
    scale = torch.ones_like(mean) if call["weight"] is None else call["weight"].detach().to(dtype)
    deviation = (variance + eps).rsqrt()
    at_once = of_input and data.device.type == "cpu"  # whose caches hold a channel
    as_channels = (1, shape.numel(), -1)
    weights, means, variances, deviations = (
        values.expand(shape).reshape(-1) for values in (scale, mean, variance, deviation)
    )
    inputs, scales, shifts = aten.native_batch_norm_backward(
        gradient.reshape(as_channels),
        data.reshape(as_channels),
        weights,
        means,
        variances,
        means,  # a card takes the saved statistics, also in evaluation
        deviations,
        False,
        eps,
        [at_once, True, True],
    )
    if of_input and inputs is None:
        inputs = gradient * (scale * deviation).to(gradient.dtype).reshape(-1, *(1,) * (data.ndim - 2))
    inputs = inputs.reshape(data.shape) if of_input else None
    return inputs, scales.unflatten(0, shape), shifts.unflatten(0, shape)


def prelu(tape: Tape, func: Any, call: Call) -> Any:
    """max(x, 0) + slope · min(x, 0): the slope's gradient is that at the output times min(x, 0)."""
    data = call["input"]
    site = Site(tape, call, data)
    take = site.take("weight")
    if take is None or site.layout not in (0, "folded") or tape.sink(data):
        return None
    n_slopes = call["weight"].numel()

    def hook(gradient: Tensor) -> None:
        values = working(gradient) * site.input(working(gradient).dtype).clamp(max=0)
        values = site.per_sample(values.flatten(2).sum(2, dtype=wide_dtype(values)) if values.ndim > 2 else values)
        take(vector(values if n_slopes > 1 else values.sum(1, keepdim=True)))

    return tape.on_tape(call.run(func), hook)


def _scaled_and_shifted(tape: Tape, func: Any, call: Call, site: Site, of_sample: Any) -> Any:
    weight = site.take("weight")
    bias = site.take("bias")

    def hook(gradient: Tensor) -> None:
        gradient = working(gradient)
        if weight:
            weight(of_sample(_normalised(func, call, site.input(gradient.dtype)).mul_(gradient)))
        if bias:
            bias(of_sample(gradient))

    output = call.run(func)
    if isinstance(output, tuple):
        return (tape.on_tape(output[0], hook), *output[1:])
    return tape.on_tape(output, hook)


def _normalised(func: Any, call: Call, data: Tensor) -> Tensor:
    """The input normalised as the layer does, without scale and shift."""
    eps = 1e-5 if call["eps"] is None else call["eps"]
    kind = plain_name(func).removeprefix("native_")
    if kind == "layer_norm":
        return F.layer_norm(data, call["normalized_shape"], eps=eps)
    if kind == "rms_norm":
        return F.rms_norm(data, call["normalized_shape"], eps=call["eps"])
    if kind == "group_norm":
        return F.group_norm(data, call["num_groups"], eps=eps)
    own = call["use_input_stats"] is not False
    return F.instance_norm(data, call["running_mean"], call["running_var"], use_input_stats=own, momentum=0.0, eps=eps)


_OF_LAYER_NORM = ("input", "normalized_shape", "weight", "bias", "eps")
_OF_RMS_NORM = ("input", "normalized_shape", "weight", "eps")
_OF_GROUP_NORM = ("input", "num_groups", "weight", "bias", "eps")
_OF_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_OF_ATEN_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
_OF_EVALUATED = ("input", "weight", "bias", "running_mean", "running_var", "momentum", "eps")
_OF_INSTANCE_NORM = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
_OF_ATEN_INSTANCE_NORM = (
    *("input", "weight", "bias", "running_mean", "running_var", "use_input_stats", "momentum", "eps"),
)
_GROUP_NORMS = (F.group_norm, torch.group_norm, aten.group_norm.default)
_INSTANCE_NORMS = (torch.instance_norm, aten.instance_norm.default)
RULES = {
    **dict.fromkeys(_LAYER_NORMS, (_OF_LAYER_NORM, over_last_axes)),
    **dict.fromkeys(_RMS_NORMS, (_OF_RMS_NORM, over_last_axes)),
    **dict.fromkeys(_GROUP_NORMS, (_OF_GROUP_NORM, over_channels)),
    F.batch_norm: (_OF_BATCH_NORM, batch_norm),
    **dict.fromkeys((torch.batch_norm, aten.batch_norm.default), (_OF_ATEN_BATCH_NORM, batch_norm)),
    aten._native_batch_norm_legit_no_training.default: (_OF_EVALUATED, batch_norm),
    F.instance_norm: (_OF_INSTANCE_NORM, over_channels),
    **dict.fromkeys(_INSTANCE_NORMS, (_OF_ATEN_INSTANCE_NORM, over_channels)),
    **dict.fromkeys((F.prelu, torch.prelu, aten.prelu.default), (("input", "weight"), prelu)),
}
