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

Function = Callable[..., Any]

MAX_ELEMENTS = 2**30  # of one tensor made from sizes alone
MAX_WINDOW = 4096  # kernel, stride, dilation, padding, groups, output size

_NAMES = """
abs.default acos.default adaptive_avg_pool1d.default _adaptive_avg_pool2d.default adaptive_avg_pool2d.default
adaptive_avg_pool3d.default adaptive_max_pool1d.default adaptive_max_pool2d.default add.Scalar add.Tensor add_.Scalar
add_.Tensor addcdiv.default addcmul.default addcmul_.default addmm.default addmv.default alias.default all.default
all.dim amax.default amin.default __and__.Scalar __and__.Tensor any.default any.dim arange.default arange.start
arange.start_step argmax.default argmin.default argsort.default asin.default _assert_async.msg _assert_scalar.default
_assert_tensor_metadata.default atan.default atan2.default atleast_1d.default avg_pool1d.default avg_pool2d.default
avg_pool3d.default baddbmm.default batch_norm.default bilinear.default bitwise_and.Scalar bitwise_and.Tensor
bitwise_not.default bitwise_or.Scalar bitwise_or.Tensor bitwise_xor.Tensor bmm.default broadcast_tensors.default
broadcast_to.default cat.default cdist.default ceil.default celu.default celu_.default channel_shuffle.default
chunk.default clamp.default clamp.Tensor clamp_.default clamp_max.default clamp_max_.default clamp_min.default
clamp_min_.default clone.default col2im.default concat.default constant_pad_nd.default contiguous.default
conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default conv3d.padding conv_transpose1d.default
conv_transpose2d.input conv_transpose3d.input convolution.default copy.default copy_.default copysign.Tensor
cos.default cosh.default cosine_similarity.default count_nonzero.default cummax.default cummin.default cumprod.default
cumsum.default detach.default detach_.default diag.default diagonal.default diff.default div.Scalar div.Scalar_mode
div.Tensor div.Tensor_mode div_.Scalar div_.Tensor dot.default dropout.default dropout_.default einsum.default
elu.default elu_.default embedding.default empty.memory_format empty_like.default eq.Scalar eq.Tensor erf.default
erfc.default exp.default exp_.default expand.default expand_as.default expm1.default feature_dropout.default
fill.Scalar fill.Tensor fill_.Scalar fill_.Tensor flatten.using_ints flip.default floor.default floor_.default
floor_divide.default floor_divide.Scalar fmod.Scalar fmod.Tensor frac.default full.default full_like.default
gather.default ge.Scalar ge.Tensor gelu.default gelu_.default glu.default grid_sampler.default grid_sampler_2d.default
group_norm.default gru.input gt.Scalar gt.Tensor hardsigmoid.default hardsigmoid_.default hardswish.default
hardswish_.default hardtanh.default hardtanh_.default hstack.default huber_loss.default im2col.default index.Tensor
index_add.default index_add_.default index_copy.default index_fill.int_Scalar index_put.default index_put_.default
index_select.default instance_norm.default isclose.default isfinite.default isinf.default isnan.default item.default
layer_norm.default le.Scalar le.Tensor leaky_relu.default leaky_relu_.default lerp.Scalar lerp.Tensor
lift_fresh.default lift_fresh_copy.default linalg_vector_norm.default linear.default linspace.default log.default
log10.default log1p.default log2.default log_.default log_sigmoid.default _log_softmax.default log_softmax.int
logaddexp.default logcumsumexp.default logical_and.default logical_not.default logical_or.default logical_xor.default
logit.default logsumexp.default lstm.input lt.Scalar lt.Tensor masked_fill.Scalar masked_fill.Tensor
masked_fill_.Scalar masked_fill_.Tensor masked_scatter.default matmul.default max.default max.dim max.other
max_pool1d.default max_pool1d_with_indices.default max_pool2d.default max_pool2d_with_indices.default
max_pool3d.default maximum.default mean.default mean.dim meshgrid.indexing min.default min.dim min.other
minimum.default mish.default mish_.default mm.default movedim.int mul.Scalar mul.Tensor mul_.Scalar mul_.Tensor
mv.default nan_to_num.default narrow.default _native_batch_norm_legit_no_training.default native_group_norm.default
native_layer_norm.default ne.Scalar ne.Tensor neg.default neg_.default new_empty.default new_full.default
new_ones.default new_zeros.default norm.Scalar norm.ScalarOpt_dim numpy_T.default one_hot.default ones.default
ones_like.default __or__.Scalar __or__.Tensor outer.default pad.default pairwise_distance.default permute.default
pixel_shuffle.default pixel_unshuffle.default polar.default pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor pow_.Scalar
prelu.default prod.default prod.dim_int reciprocal.default reflection_pad1d.default reflection_pad2d.default
relu.default relu6.default relu6_.default relu_.default remainder.Scalar remainder.Tensor repeat.default
repeat_interleave.self_int replication_pad1d.default replication_pad2d.default reshape.default reshape_as.default
rms_norm.default roll.default round.default rsqrt.default rsqrt_.default rsub.Scalar rsub.Tensor scalar_tensor.default
scaled_dot_product_attention.default scatter.src scatter.value scatter_.src scatter_.value scatter_add.default
scatter_add_.default scatter_reduce.two select.int select_scatter.default selu.default selu_.default sigmoid.default
sigmoid_.default sign.default silu.default silu_.default sin.default sinh.default slice.Tensor slice_scatter.default
_softmax.default softmax.int softplus.default sort.default split.default split.Tensor split_with_sizes.default
sqrt.default sqrt_.default square.default squeeze.default squeeze.dim squeeze.dims squeeze_.dim stack.default
std.correction std.default std.dim sub.Scalar sub.Tensor sub_.Scalar sub_.Tensor sum.default sum.dim_IntList
swapaxes.default sym_constrain_range.default sym_constrain_range_for_size.default sym_numel.default sym_size.int
sym_stride.int t.default tan.default tanh.default tanh_.default tensor_split.sections threshold.default tile.default
to.device to.dtype to.dtype_layout to.other _to_copy.default topk.default transpose.int tril.default tril_.default
triu.default triu_.default trunc.default type_as.default unbind.int unflatten.int unfold.default unsafe_chunk.default
unsafe_split.Tensor _unsafe_view.default unsqueeze.default unsqueeze_.default upsample_bicubic2d.vec
upsample_bilinear2d.default upsample_bilinear2d.vec upsample_linear1d.vec upsample_nearest1d.vec
upsample_nearest2d.default upsample_nearest2d.vec upsample_trilinear3d.vec var.correction var.default var.dim
var_mean.correction vdot.default view.default view_as.default view_as_complex.default view_as_real.default
vstack.default _weight_norm.default where.default where.Scalar where.ScalarOther where.ScalarSelf where.self
xlogy.Tensor __xor__.Scalar __xor__.Tensor zero_.default zeros.default zeros_like.default
"""
ALLOWED = frozenset(_NAMES.split())

# Checks made while exporting; without effect on the result, and wrong once a dtype or device has changed.
_IGNORED_NAMES = """
_assert_async.msg _assert_scalar.default _assert_tensor_metadata.default sym_constrain_range.default
sym_constrain_range_for_size.default
"""
IGNORED = frozenset(_IGNORED_NAMES.split())

_OPTIONS = """none tanh trunc floor constant reflect replicate circular ij xy valid same mean sum prod amax amin"""
STRINGS = frozenset(_OPTIONS.split())
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
