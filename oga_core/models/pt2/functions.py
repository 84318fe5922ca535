"""What is called for an operator of a graph.

Where `torch` or `torch.nn.functional` has a function with the same result to the bit, that one is called, so that code
which intercepts functions meets the same ones here as in an ordinary module (and calls are cheaper).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.models.pt2.names import ALLOWED
from oga_core.models.pt2.ops import overload
from oga_core.models.pt2.sizes import Function, first, limited, range_length, repeats, second, transform_sizes


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


def _embedding(weight: Any, indices: Any, padding_idx: Any = -1, by_freq: Any = False, sparse: Any = False) -> Tensor:
    return F.embedding(indices, weight, None if padding_idx == -1 else padding_idx, scale_grad_by_freq=by_freq)


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
    "empty.memory_format": limited(_empty, first),
    "empty_like.default": _empty_like,
    "new_empty.default": limited(_new_empty, second),
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
    "arange.default": limited(torch.arange, range_length),
    "arange.start": limited(torch.arange, range_length),
    "arange.start_step": limited(torch.arange, range_length),
    "zeros.default": limited(torch.zeros, first),
    "ones.default": limited(torch.ones, first),
    "full.default": limited(torch.full, first),
    "new_zeros.default": limited(Tensor.new_zeros, second),
    "new_ones.default": limited(Tensor.new_ones, second),
    "new_full.default": limited(Tensor.new_full, second),
}

_TRANSFORMS = tuple(name for name in ALLOWED if name.startswith("fft_") and "shift" not in name)

_SIZED: dict[str, Callable[..., Any]] = {
    "repeat.default": repeats,
    "tile.default": repeats,
    "repeat_interleave.self_int": repeats,
    "as_strided.default": second,
    "eye.default": lambda n, **_: [n, n],
    "eye.m": lambda n, m, **_: [n, m],
    "triu_indices.default": lambda n, m, *_, **__: [n, m],
    "tril_indices.default": lambda n, m, *_, **__: [n, m],
    **dict.fromkeys(_TRANSFORMS, transform_sizes),
    "expand.default": second,
    "broadcast_to.default": second,
    "linspace.default": lambda _start, _end, steps, **_: [steps],
}


@functools.cache
def function_for(name: str) -> Function:
    """Return what is called for an allowed operator."""
    function = _SAME.get(name) or overload(name)
    return limited(function, _SIZED[name]) if name in _SIZED else function
