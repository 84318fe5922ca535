"""The operators that a graph from a `.pt2` file may call, and the bounds on what it may pass them.

Every operator computes tensors from tensors: none reads files, memory or randomness.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import torch

from oga_core.errors import OgaError
from oga_core.models.pt2.names import ALLOWED, STRINGS

MAX_WINDOW = 4096  # kernel, stride, dilation, padding, groups, output size

_EINSUM = re.compile(r"[A-Za-z., >-]{1,100}")

# Arguments that are sizes of windows, with their least value.
_WINDOWS = {
    "kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "num_groups": 1, "padding": 0, "output_padding": 0,
    "output_size": 1, "pad": -MAX_WINDOW, "upscale_factor": 1, "downscale_factor": 1, "divisor_override": 1,
    "repeats": 0, "dims_repeat": 0, "num_layers": 1, "num_classes": -1, "scale_factors": 0, "sections": 1, "chunks": 1,
    "correction": 0, "bins": 1, "n_fft": 1, "hop_length": 1, "win_length": 1,
}  # fmt: skip


# Windows that decide how much is computed, and crash the process where they are absurd: never computed at run time.
FIXED = ("stride", "dilation")
GROUPS = "groups"
"""Computed where every sample has filters of its own, in one convolution with a group a sample: then looked at."""


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
            operator = getattr(getattr(torch.ops.aten, packet), variant)
        except AttributeError:
            raise OgaError(f"The model uses aten.{name}, which torch {torch.__version__} does not have.") from None
        assert isinstance(operator, torch._ops.OpOverload)
        return operator
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
        # Without running statistics it normalises by those of its input in either mode, as weights are standardised.
        return bool(arguments.get("training")) and arguments.get("running_mean") is not None
    if base == "instance_norm":
        return bool(arguments.get("use_input_stats")) and arguments.get("running_mean") is not None
    if base in ("lstm", "gru", "dropout", "dropout_", "feature_dropout"):
        return bool(arguments.get("train")) and bool(arguments.get("dropout", arguments.get("p", 0)))
    return base == "scaled_dot_product_attention" and bool(arguments.get("dropout_p"))
