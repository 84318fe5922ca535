"""How each function that takes a parameter makes uses of it: one short rule per kind of function.

A rule gets the capture and the call as it came, runs it, and hangs a hook on the output. Functions without a rule are
counted as missed. `n` is the number of samples; layouts are those of `layouts.Layouts`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.hooks.calls import Call, Site, plain_name
from oga_core.gradients.hooks.convolution_factor import ConvolutionUse, Geometry
from oga_core.gradients.hooks.factors import ComputedUse, DirectUse, LookupUse, ProductUse, canonical

if TYPE_CHECKING:
    from oga_core.gradients.hooks.gradient_capture import GradientCapture

aten = torch.ops.aten
Rule = Callable[["GradientCapture", Any, Call], Any]


def apply(capture: GradientCapture, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run a function that meets both data and parameters."""
    known = _RULES.get(func)
    if known is not None:
        names, rule = known
        return rule(capture, func, Call(names, args, kwargs))
    name = plain_name(func)
    if func is F.multi_head_attention_forward:
        with capture:
            return _opened(func)(*args, **kwargs)
    if name in _ELEMENTWISE:
        return _elementwise(capture, func, args, kwargs)
    if name in ("to", "type_as"):
        return capture.derive(func, args, kwargs)
    if name == "expand_as":
        return _spread(capture, args[0], args[1].shape) or _missed(capture, func, args, kwargs)
    return _missed(capture, func, args, kwargs)


def derive(capture: GradientCapture, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run a function of parameters alone where there is a shorter way than a tape; None where there is not."""
    name, first = plain_name(func), args[0] if args else None
    if name == "get" and func not in _TRANSPOSES:
        output = func(*args, **kwargs)
        return None if isinstance(output, Tensor) else (output,)
    if isinstance(first, Tensor) and first.ndim == 2 and not first.requires_grad and _turns(func, name, args):
        return (capture.transposed(first, func(*args, **kwargs)),)
    if name in _SPREADS and isinstance(first, Tensor):
        spread = _spread(capture, first, func(*args, **kwargs).shape)
        return None if spread is None else (spread,)
    if func in _LOOKUPS:
        call = Call(_LOOKUPS[func], args, kwargs)
        weight, indices = call["weight"], call["indices"]
        site = Site(capture, call, indices, (*indices.shape, 1))
        if not capture.sink(weight) or weight.requires_grad or call["scale_grad_by_freq"]:
            return None
        if site.layout in (0, 1):  # the same indices for every sample, but already repeated for each
            output = _lookup(capture, func, call, site)
            capture.watch((output,))
            return (output,)
        return (capture.looked_up(weight, indices, func(*args, **kwargs), _padding(call, weight)),)
    return None


def _turns(func: Any, name: str, args: Sequence[Any]) -> bool:
    return (
        func in _TRANSPOSES or name in ("t", "numpy_T") or (name == "transpose" and {*args[1:]} in ({0, 1}, {-1, -2}))
    )


def _linear(capture: GradientCapture, func: Any, call: Call) -> Any:
    return _product(capture, func, call, call["input"], lambda use: use)


def _matrix_product(capture: GradientCapture, func: Any, call: Call) -> Any:
    data, other = call["input"], call["weight"]
    if capture.sink(other) and other.ndim == 2 and not capture.sink(data):
        return _product(capture, func, call, data, lambda use: use.transposed())
    return _broadcast_product(capture, func, data, other)


def _product(capture: GradientCapture, func: Any, call: Call, data: Tensor, turn: Any) -> Any:
    if capture.sink(data) or data.ndim < 2 or call["alpha"] not in (None, 1) or call["beta"] not in (None, 1):
        return _missed(capture, func, call.args, call.kwargs)
    site = Site(capture, call, data)
    if site.layout is None:
        return _missed(capture, func, call.args, call.kwargs)
    weight, bias = site.take("weight"), site.take("bias")

    def hook(gradient: Tensor) -> None:
        gradient = site.positions(gradient.float())
        if weight:
            weight(turn(ProductUse(gradient, site.positions(site.input()))))
        if bias:
            bias(_vector(gradient.sum(1)))

    return capture.on_tape(call.run(func), hook)


def _broadcast_product(capture: GradientCapture, func: Any, one: Tensor, other: Tensor) -> Any:
    """A product of data with a matrix for each sample: the parameter is copied along the batch axis."""
    data, parameter = (other, one) if capture.sink(one) else (one, other)
    layout = capture.layout(data.shape) if data.ndim > 2 and parameter.ndim > 1 else None
    shape = (*data.shape[:-2], *parameter.shape[-2:])
    copies = None if layout is None else capture.expanded(parameter, shape, 1 if layout == 1 else 0, layout)
    if copies is None:
        return _missed(capture, func, (one, other), {})
    return func(copies, other) if parameter is one else func(one, copies)


def _convolution(capture: GradientCapture, func: Any, call: Call) -> Any:
    data, weight, transposed = call["input"], call["weight"], func in _TRANSPOSED or bool(call["transposed"])
    site = Site(capture, call, data)
    if capture.sink(data) or data.ndim != weight.ndim or site.layout not in (0, "folded"):
        return _missed(capture, func, call.args, call.kwargs)
    geometry = _geometry(call, tuple(weight.shape[2:]))
    to_weight, to_bias = site.take("weight"), site.take("bias")

    def hook(gradient: Tensor) -> None:
        gradient = gradient.float()
        if to_weight:
            pair = (site.input(), gradient) if transposed else (gradient, site.input())
            to_weight(_unfolded(ConvolutionUse(*pair, geometry), site))
        if to_bias:
            to_bias(_vector(site.per_sample(gradient.flatten(2).sum(2))))

    return capture.on_tape(call.run(func), hook)


def _unfolded(use: ConvolutionUse, site: Site) -> ConvolutionUse | ComputedUse:
    if site.layout == 0:
        return use
    share = len(use) // site.n
    return ComputedUse(
        lambda rows: use.explicit(slice(rows.start * share, rows.stop * share)).unflatten(0, (-1, share)).sum(1),
        use.shape,
        site.n,
    )


def _geometry(call: Call, kernel: tuple[int, ...]) -> Geometry:
    def numbers(name: str, default: int) -> tuple[int, ...]:
        value = call[name]
        value = default if value is None else value
        value = (value,) * len(kernel) if isinstance(value, int) else tuple(value)
        return value * len(kernel) if len(value) == 1 else value

    dilation = numbers("dilation", 1)
    if call["padding"] == "same":
        whole = [gap * (size - 1) for gap, size in zip(dilation, kernel, strict=True)]
        padding = tuple((size // 2, size - size // 2) for size in whole)
    elif call["padding"] == "valid":
        padding = ((0, 0),) * len(kernel)
    else:
        padding = tuple((size, size) for size in numbers("padding", 0))
    return Geometry(kernel, numbers("stride", 1), padding, dilation, call["groups"] or 1)


def _embedding(capture: GradientCapture, func: Any, call: Call) -> Any:
    indices, table = call["indices"], call["weight"]
    site = Site(capture, call, indices, (*indices.shape, 1))
    if site.layout is None or call["scale_grad_by_freq"] or table.ndim != 2 or capture.sink(indices):
        return _missed(capture, func, call.args, call.kwargs)
    return _lookup(capture, func, call, site)


def _lookup(capture: GradientCapture, func: Any, call: Call, site: Site) -> Any:
    table = call["weight"]
    take, padding = site.take("weight"), _padding(call, table)
    assert take is not None

    def hook(gradient: Tensor) -> None:
        rows = site.positions(site.input()[..., None])[..., 0]
        gradient = site.positions(gradient.float())
        if padding is not None:
            gradient = gradient.masked_fill((rows == padding)[..., None], 0)
        take(LookupUse(rows, gradient, len(table)))

    return capture.on_tape(call.run(func), hook)


def _padding(call: Call, table: Tensor) -> int | None:
    padding = call["padding_idx"]
    if padding is None or (
        padding < 0 and call.names[0] == "weight"
    ):  # aten's -1 is none, the module's is the last row
        return None
    return padding % len(table)


def _normalisation(capture: GradientCapture, func: Any, call: Call) -> Any:
    """Scale and shift after a normalisation: the scale's gradient is δ times the input, normalised again."""
    data, last = call["input"], func in _OVER_LAST_AXES
    site = Site(capture, call, data)
    trains = call["training"] or (call["use_input_stats"] is False and call["running_mean"] is None)
    if site.layout is None or trains or capture.sink(data) or (site.layout == 1 and not last):
        return _missed(capture, func, call.args, call.kwargs)
    weight, bias = site.take("weight"), site.take("bias")
    n_axes = len(call["normalized_shape"]) if last else 0

    def to_parameter(values: Tensor) -> DirectUse:
        if last:
            shape = values.shape[values.ndim - n_axes :]
            return DirectUse(site.positions(values.flatten(-n_axes)).sum(1), canonical(shape))
        return _vector(site.per_sample(values.flatten(2).sum(2) if values.ndim > 2 else values))

    def hook(gradient: Tensor) -> None:
        gradient = gradient.float()
        if weight:
            weight(to_parameter(_normalised(func, call, site.input()).mul_(gradient)))
        if bias:
            bias(to_parameter(gradient))

    output = call.run(func)
    if isinstance(output, tuple):
        return (capture.on_tape(output[0], hook), *output[1:])
    return capture.on_tape(output, hook)


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
    mean, variance = call["running_mean"], call["running_var"]
    if kind == "instance_norm":
        own = call["use_input_stats"] is not False
        return F.instance_norm(data, mean, variance, use_input_stats=own, momentum=0.0, eps=eps)
    return F.batch_norm(data, mean, variance, eps=eps)


def _prelu(capture: GradientCapture, func: Any, call: Call) -> Any:
    data, slope = call["input"], call["weight"]
    site = Site(capture, call, data)
    take = site.take("weight")
    if take is None or site.layout not in (0, "folded") or capture.sink(data):
        return _missed(capture, func, call.args, call.kwargs)

    def hook(gradient: Tensor) -> None:
        values = gradient.float() * site.input().clamp(max=0)
        values = site.per_sample(values.flatten(2).sum(2) if values.ndim > 2 else values)
        take(_vector(values if slope.numel() > 1 else values.sum(1, keepdim=True)))

    return capture.on_tape(call.run(func), hook)


def _attention(capture: GradientCapture, func: Any, call: Call) -> Any:
    """Attention with a learned bias: copied for each sample."""
    query, key, mask = call["query"], call["key"], call["attn_mask"]
    layout = capture.layout(query.shape)
    if layout not in (0, "folded") or any(capture.sink(call[name]) for name in ("query", "key", "value")):
        return _missed(capture, func, call.args, call.kwargs)
    copies = capture.expanded(mask, (*query.shape[:-1], key.shape[-2]), 0, layout)
    if copies is None:
        return _missed(capture, func, call.args, call.kwargs)
    return func(
        query, key, call["value"], copies, *call.args[4:], **{k: v for k, v in call.kwargs.items() if k != "attn_mask"}
    )


def _elementwise(capture: GradientCapture, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A function that broadcasts: the parameter is copied along the batch axis."""
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    data = max((tensor for tensor in tensors if not capture.sink(tensor)), key=lambda tensor: tensor.ndim)
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    layout = capture.layout((1,) * (len(shape) - data.ndim) + tuple(data.shape))
    if layout is None:
        return _missed(capture, func, args, kwargs)
    axis = 1 if layout == 1 else 0

    def copied(value: Any) -> Any:
        if not capture.sink(value):
            return value
        copies = capture.expanded(value, shape, axis, layout)
        return capture.miss(value) if copies is None else copies

    return func(*map(copied, args), **{name: copied(value) for name, value in kwargs.items()})


def _spread(capture: GradientCapture, tensor: Tensor, shape: Sequence[int]) -> Tensor | None:
    """A parameter repeated along the batch axis and nowhere else but by expansion, as for class tokens."""
    layout = capture.layout(shape)
    if layout not in (0, 1):
        return None
    copies = capture.expanded(tensor, shape, int(layout), layout)
    if copies is None:
        return None
    try:
        copies = copies.expand(*shape)
    except RuntimeError:
        return None
    capture.watch((copies,))
    return copies


def _missed(capture: GradientCapture, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    def replaced(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(map(replaced, value))
        return capture.miss(value) if capture.sink(value) else value

    return func(*map(replaced, args), **{name: replaced(value) for name, value in kwargs.items()})


def _vector(values: Tensor) -> DirectUse:
    return DirectUse(values, canonical(values.shape[1:]))


def _opened(func: Any) -> Any:
    """The same Python function, showing its inner calls instead of being handed over as a whole."""
    return types.FunctionType(
        func.__code__,
        {**func.__globals__, "has_torch_function": lambda _: False},
        func.__name__,
        func.__defaults__,
        func.__closure__,
    )


_LINEAR = ("input", "weight", "bias")
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONVOLUTION_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_ATEN_CONVOLUTION = (*_CONVOLUTION[:6], "transposed", "output_padding", "groups")
_ADDMM = ("bias", "input", "weight")
_MATMUL = ("input", "weight")
_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_ATEN_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
_EVAL_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "momentum", "eps")
_INSTANCE_NORM = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
_ATEN_INSTANCE_NORM = ("input", "weight", "bias", "running_mean", "running_var", "use_input_stats", "momentum", "eps")
_LAYER_NORM = ("input", "normalized_shape", "weight", "bias", "eps")
_RMS_NORM = ("input", "normalized_shape", "weight", "eps")
_GROUP_NORM = ("input", "num_groups", "weight", "bias", "eps")

_LOOKUPS: dict[Any, tuple[str, ...]] = {
    F.embedding: ("indices", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
    torch.embedding: ("weight", "indices", "padding_idx", "scale_grad_by_freq", "sparse"),
    aten.embedding.default: ("weight", "indices", "padding_idx", "scale_grad_by_freq", "sparse"),
}
_TRANSPOSED = {
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    *(aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input),
}
_OVER_LAST_AXES = {
    *(F.layer_norm, torch.layer_norm, aten.layer_norm.default, aten.native_layer_norm.default),
    *(F.rms_norm, torch.rms_norm, aten.rms_norm.default),
}
_TRANSPOSES = {Tensor.T.__get__, Tensor.mT.__get__, Tensor.H.__get__, Tensor.mH.__get__}  # type: ignore[attr-defined]
_SPREADS = {"expand", "repeat", "tile", "broadcast_to"}
_ELEMENTWISE = {
    *("add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "div", "truediv", "rtruediv", "itruediv"),
    *("true_divide", "pow", "rpow", "maximum", "minimum", "where", "addcmul", "lerp"),
}

_RULES: dict[Any, tuple[tuple[str, ...], Rule]] = {
    **dict.fromkeys((F.linear, aten.linear.default), (_LINEAR, _linear)),
    **dict.fromkeys((torch.addmm, Tensor.addmm, aten.addmm.default), (_ADDMM, _matrix_product)),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__, aten.matmul.default), (_MATMUL, _matrix_product)),
    **dict.fromkeys((torch.mm, Tensor.mm, aten.mm.default), (_MATMUL, _matrix_product)),
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), (_CONVOLUTION, _convolution)),
    **dict.fromkeys((aten.conv1d.default, aten.conv2d.default, aten.conv3d.default), (_CONVOLUTION, _convolution)),
    **dict.fromkeys((aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding), (_CONVOLUTION, _convolution)),
    **dict.fromkeys((torch.convolution, aten.convolution.default), (_ATEN_CONVOLUTION, _convolution)),
    **dict.fromkeys(_TRANSPOSED, (_CONVOLUTION_TRANSPOSED, _convolution)),
    **{function: (names, _embedding) for function, names in _LOOKUPS.items()},
    **dict.fromkeys(
        (F.layer_norm, torch.layer_norm, aten.layer_norm.default, aten.native_layer_norm.default),
        (_LAYER_NORM, _normalisation),
    ),
    **dict.fromkeys((F.rms_norm, torch.rms_norm, aten.rms_norm.default), (_RMS_NORM, _normalisation)),
    **dict.fromkeys((F.group_norm, torch.group_norm, aten.group_norm.default), (_GROUP_NORM, _normalisation)),
    F.batch_norm: (_BATCH_NORM, _normalisation),
    **dict.fromkeys((torch.batch_norm, aten.batch_norm.default), (_ATEN_BATCH_NORM, _normalisation)),
    aten._native_batch_norm_legit_no_training.default: (_EVAL_BATCH_NORM, _normalisation),
    F.instance_norm: (_INSTANCE_NORM, _normalisation),
    **dict.fromkeys((torch.instance_norm, aten.instance_norm.default), (_ATEN_INSTANCE_NORM, _normalisation)),
    **dict.fromkeys((F.prelu, torch.prelu, aten.prelu.default), (("input", "weight"), _prelu)),
    **dict.fromkeys(
        (F.scaled_dot_product_attention, aten.scaled_dot_product_attention.default),
        (("query", "key", "value", "attn_mask"), _attention),
    ),
}
WRITES = {Tensor.__setitem__, Tensor.copy_}
