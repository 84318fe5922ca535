"""The operators that a graph from a `.pt2` file may call, and the bounds on what it may pass them.

Every operator computes tensors from tensors: none reads files, memory or randomness. Where `torch` or
`torch.nn.functional` has a function with the same result to the bit, that one is called, so that code which
intercepts functions meets the same ones here as in an ordinary module (and calls are cheaper).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.models.pt2.names import ALLOWED, STRINGS

Function = Callable[..., Any]

MAX_ELEMENTS = 2**30  # of one tensor made from sizes alone
MAX_WINDOW = 4096  # kernel, stride, dilation, padding, groups, output size

_EINSUM = re.compile(r"[A-Za-z., >-]{1,100}")

# Arguments that are sizes of windows, with their least value.
_WINDOWS = {
    "kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "num_groups": 1, "padding": 0, "output_padding": 0,
    "output_size": 1, "pad": -MAX_WINDOW, "upscale_factor": 1, "downscale_factor": 1, "divisor_override": 1,
    "repeats": 0, "dims_repeat": 0, "num_layers": 1, "num_classes": -1, "scale_factors": 0, "sections": 1, "chunks": 1,
    "correction": 0,
}  # fmt: skip


# Windows that decide how much is computed, and crash the process where they are absurd: never computed at run time.
FIXED = ("stride", "dilation", "groups")


def short_name(target: str) -> str | None:
    """Return `linear.default` for `torch.ops.aten.linear.default`, None for any other namespace."""
    prefix = "torch.ops.aten."
    return target[len(prefix) :] if target.startswith(prefix) else None


@functools.cache
def overload(name: str) -> torch._ops.OpOverload:
    """Return the operator of an allowed name, for its schema. Raises `OgaError` for any other name."""
    if name in ALLOWED:
        packet, _, variant = name.partition(".")
        try:
            found = getattr(getattr(torch.ops.aten, packet), variant)
        except AttributeError:
            raise OgaError(f"The model uses aten.{name}, which torch {torch.__version__} does not have.") from None
        assert isinstance(found, torch._ops.OpOverload)
        return found
    raise refused(f"aten.{name}")


def refused(target: str) -> OgaError:
    """Return the error for an operator outside the list, with advice where there is some."""
    shown = target.removeprefix("torch.ops.")[:120]
    advice = (
        "Rewrite that step with ordinary tensor operations, or bring the model's outputs (logits and features) instead."
    )
    base = shown.removeprefix("aten.").partition(".")[0]
    if base.startswith(("_transformer_encoder_layer", "_native_multi_head")):
        advice = "It has no gradient. Call torch.backends.mha.set_fastpath_enabled(False) before torch.export.export."
    elif base in (
        "bernoulli",
        "bernoulli_",
        "rand",
        "rand_like",
        "randn",
        "randn_like",
        "native_dropout",
        "alpha_dropout",
    ):
        advice = "It draws random numbers. Call model.eval() before torch.export.export, or take that step out."
    elif base.startswith(("_scaled_dot_product", "_flash", "_efficient")):
        advice = "It is a fused form of attention. Export without run_decompositions."
    return OgaError(
        f"The model uses the operator {shown}, which is not on the list of operators that are run. {advice}"
    )


def check_argument(operator: str, name: str, value: Any) -> None:
    """Refuse values that would crash the process or fill its memory before any error is raised."""
    least = _WINDOWS.get(name)
    if isinstance(value, str):
        if value not in STRINGS and not (operator == "einsum.default" and _EINSUM.fullmatch(value)):
            raise OgaError(
                f"The model passes {name}={value[:40]!r} to aten.{operator}; only known options are accepted."
            )
    elif least is not None:
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, (int, float)) and not least <= number <= MAX_WINDOW:
                raise OgaError(
                    f"The model passes {name}={str(value)[:40]} to aten.{operator}; "
                    f"values from {least} to {MAX_WINDOW} are accepted."
                )


def training_problem(name: str, arguments: Mapping[str, Any]) -> bool:
    """Say whether this call behaves as in training: batch statistics or dropout."""
    base = name.partition(".")[0]
    if base == "batch_norm":
        return bool(arguments.get("training"))
    if base == "instance_norm":
        return bool(arguments.get("use_input_stats")) and arguments.get("running_mean") is not None
    if base in ("lstm", "gru", "dropout", "dropout_", "feature_dropout"):
        return bool(arguments.get("train")) and bool(arguments.get("dropout", arguments.get("p", 0)))
    return base == "scaled_dot_product_attention" and bool(arguments.get("dropout_p"))


def _limited(function: Function, sizes: Callable[..., Any]) -> Function:
    """Wrap a function that makes a tensor of given sizes: raise before the memory is taken."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        numbers = [size for size in sizes(*args, **kwargs) if isinstance(size, (int, float))]
        if math.prod(abs(size) for size in numbers) > MAX_ELEMENTS:
            raise RuntimeError(f"a tensor of size {numbers} is larger than {MAX_ELEMENTS:,} elements")
        return function(*args, **kwargs)

    return call


def _first(size: Any, *_: Any, **__: Any) -> Any:
    return size


def _second(_self: Any, size: Any, *_: Any, **__: Any) -> Any:
    return size


def _range(*args: Any, **_: Any) -> list[float]:
    start, end, step = (0, args[0], 1) if len(args) == 1 else (*args[:2], args[2] if len(args) > 2 else 1)
    return [(end - start) / step if step else 0]


def _repeats(x: Tensor, repeats: Any, *_: Any, **__: Any) -> list[int]:
    return [x.numel(), *(repeats if isinstance(repeats, (list, tuple)) else [repeats])]


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: Any, momentum: Any, eps: Any, _: Any
) -> Tensor:
    return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)


def _batch_norm_parts(x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: Any, eps: Any) -> tuple[Any, ...]:
    return F.batch_norm(x, mean, var, weight, bias, False, momentum, eps), None, None


def _layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5, _: Any = True) -> Tensor:
    return F.layer_norm(x, shape, weight, bias, eps)


def _layer_norm_parts(x: Any, shape: Any, weight: Any, bias: Any, eps: Any) -> tuple[Any, ...]:
    return F.layer_norm(x, shape, weight, bias, eps), None, None


def _group_norm(x: Any, groups: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5, _: Any = True) -> Tensor:
    return F.group_norm(x, groups, weight, bias, eps)


def _embedding(weight: Any, indices: Any, padding_idx: Any = -1, _: Any = False, sparse: Any = False) -> Tensor:
    return F.embedding(indices, weight, None if padding_idx == -1 else padding_idx)


def _convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: Any, extra: Any, groups: Any
) -> Tensor:
    plain = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}.get(len(stride))
    if transposed or plain is None or not len(stride) == len(padding) == len(dilation):
        return torch.convolution(x, weight, bias, stride, padding, dilation, transposed, extra, groups)
    return plain(x, weight, bias, stride, padding, dilation, groups)


def _dropout(x: Any, p: Any, train: Any) -> Tensor:
    return F.dropout(x, p, False)


def _empty(size: Any, **kwargs: Any) -> Tensor:
    kwargs.pop("memory_format", None)
    return torch.zeros(size, **kwargs)


def _empty_like(x: Any, **kwargs: Any) -> Tensor:
    return torch.zeros_like(x, **kwargs)


def _new_empty(x: Any, size: Any, **kwargs: Any) -> Tensor:
    return x.new_zeros(size, **kwargs)


_SAME: dict[str, Function] = {
    "linear.default": F.linear,
    "conv1d.default": F.conv1d,
    "conv2d.default": F.conv2d,
    "conv3d.default": F.conv3d,
    "conv1d.padding": F.conv1d,
    "conv2d.padding": F.conv2d,
    "conv3d.padding": F.conv3d,
    "convolution.default": _convolution,
    "embedding.default": _embedding,
    "batch_norm.default": _batch_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm_parts,
    "layer_norm.default": _layer_norm,
    "native_layer_norm.default": _layer_norm_parts,
    "group_norm.default": _group_norm,
    "rms_norm.default": F.rms_norm,
    "scaled_dot_product_attention.default": F.scaled_dot_product_attention,
    "dropout.default": _dropout,
    "dropout_.default": _dropout,
    "feature_dropout.default": _dropout,
    "empty.memory_format": _limited(_empty, _first),
    "empty_like.default": _empty_like,
    "new_empty.default": _limited(_new_empty, _second),
    "mm.default": torch.mm,
    "bmm.default": torch.bmm,
    "addmm.default": torch.addmm,
    "matmul.default": torch.matmul,
    "add.Tensor": torch.add,
    "sub.Tensor": torch.sub,
    "mul.Tensor": torch.mul,
    "div.Tensor": torch.div,
    "add_.Tensor": Tensor.add_,
    "mul_.Tensor": Tensor.mul_,
    "relu.default": torch.relu,
    "relu_.default": torch.relu_,
    "tanh.default": torch.tanh,
    "sigmoid.default": torch.sigmoid,
    "gelu.default": F.gelu,
    "silu.default": torch._C._nn.silu,
    "silu_.default": torch._C._nn.silu_,
    "softmax.int": torch.softmax,
    "mean.dim": torch.mean,
    "rsqrt.default": torch.rsqrt,
    "neg.default": torch.neg,
    "cat.default": torch.cat,
    "transpose.int": torch.transpose,
    "permute.default": torch.permute,
    "unsqueeze.default": torch.unsqueeze,
    "flatten.using_ints": torch.flatten,
    "reshape.default": torch.reshape,
    "view.default": Tensor.view,
    "expand.default": Tensor.expand,
    "select.int": torch.select,
    "contiguous.default": Tensor.contiguous,
    "arange.default": _limited(torch.arange, _range),
    "arange.start": _limited(torch.arange, _range),
    "arange.start_step": _limited(torch.arange, _range),
    "zeros.default": _limited(torch.zeros, _first),
    "ones.default": _limited(torch.ones, _first),
    "full.default": _limited(torch.full, _first),
    "new_zeros.default": _limited(Tensor.new_zeros, _second),
    "new_ones.default": _limited(Tensor.new_ones, _second),
    "new_full.default": _limited(Tensor.new_full, _second),
}

_SIZED: dict[str, Callable[..., Any]] = {
    "repeat.default": _repeats,
    "tile.default": _repeats,
    "repeat_interleave.self_int": _repeats,
    "expand.default": _second,
    "broadcast_to.default": _second,
    "linspace.default": lambda _start, _end, steps, **_: [steps],
}


@functools.cache
def function_for(name: str) -> Function:
    """Return what is called for an allowed operator."""
    function = _SAME.get(name) or overload(name)
    return _limited(function, _SIZED[name]) if name in _SIZED else function


def _at_most(base: int, exponent: int) -> Any:
    if isinstance(base, int) and (abs(exponent) > 64 or abs(base) > 2**31):
        raise RuntimeError(f"the size {base} ** {exponent} is too large")
    return base**exponent


def _shift(value: int, count: int) -> int:
    if not 0 <= count <= 62:
        raise RuntimeError(f"a size is shifted by {count} bits")
    return value << count


def _trunc(value: Any) -> int:
    return int(value)


# The arithmetic on sizes that a graph may hold, by the names under which torch writes it.
SIZE_OPERATORS: dict[str, Function] = {
    "_operator.add": lambda a, b: a + b,
    "_operator.sub": lambda a, b: a - b,
    "_operator.mul": lambda a, b: a * b,
    "_operator.floordiv": lambda a, b: a // b,
    "_operator.truediv": lambda a, b: a / b,
    "_operator.mod": lambda a, b: a % b,
    "_operator.pow": _at_most,
    "_operator.neg": lambda a: -a,
    "_operator.pos": lambda a: a,
    "_operator.eq": lambda a, b: a == b,
    "_operator.ne": lambda a, b: a != b,
    "_operator.lt": lambda a, b: a < b,
    "_operator.le": lambda a, b: a <= b,
    "_operator.gt": lambda a, b: a > b,
    "_operator.ge": lambda a, b: a >= b,
    "_operator.and_": lambda a, b: a & b,
    "_operator.or_": lambda a, b: a | b,
    "_operator.lshift": _shift,
    "_operator.rshift": lambda a, b: a >> b,
    "math.trunc": _trunc,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "torch.sym_int": _trunc,
    "torch.sym_float": float,
    "torch.sym_not": lambda a: not a,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_ite": lambda condition, a, b: a if condition else b,
    "torch._sym_sqrt": math.sqrt,
    "torch.sym_sqrt": math.sqrt,
    "torch.sym_sum": lambda *numbers: sum(numbers[0] if isinstance(numbers[0], (list, tuple)) else numbers),
}
