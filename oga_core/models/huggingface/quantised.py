"""Weights of 8 and 4 bits as bitsandbytes stores them, and the numbers that they stand for.

8 bits (Dettmers et al. 2022, LLM.int8(), arXiv 2208.07339): int8, each row times its `SCB` / 127. 4 bits (Dettmers et
al. 2023, QLoRA, arXiv 2305.14314): two codes a byte, the first in the high half; a code stands for the number at its
place in `quant_map`, times the `absmax` of its block, which may be stored in codes of a byte itself (`nested_…`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.models.refusals import reason
from oga_core.models.safetensors import Weights

NOTE = "The base model is stored in 8 or 4 bits by bitsandbytes; what its weights stand for is used, as float32."
_STATE = ".quant_state.bitsandbytes__"  # and nf4 or fp4: JSON of what is no tensor
_MOST_JSON = 4096  # bytes; a state has about 200
_BY_ROWS = 0  # the one layout of 8 bits that is still written; others were those of older cards
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def is_bitsandbytes(config: Mapping[str, Any]) -> bool:
    """Whether a config.json says that its weights are stored by bitsandbytes."""
    stored = config.get("quantization_config")
    return isinstance(stored, dict) and stored.get("quant_method") == "bitsandbytes"


def dequantised(weights: Weights, origin: str) -> Weights:
    """Return the weights with those of 8 and 4 bits as the numbers that they stand for, in float32.

    Those of 4 bits are rounded to the type that bitsandbytes multiplies them out in. Raises `OgaError` for tables that
    are missing or do not fit.
    """
    result = dict(weights)
    for name in weights:
        try:
            if _STATE in name:
                _unpack_4_bits(result, name)
            elif name.endswith(".SCB"):
                _unpack_8_bits(result, name)
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError, RecursionError) as error:
            raise _damaged(origin, f"{name!r} does not fit its weight ({reason(error)})") from None
    for name, tensor in result.items():
        if tensor.dtype == torch.int8:
            raise _damaged(origin, f"{name!r} is in 8 bits and has no SCB")
    return result


def _damaged(origin: str, problem: str) -> OgaError:
    return OgaError(
        f"{origin} holds quantised weights that cannot be read: {problem}. Save the model again where bitsandbytes is "
        "installed, or save what it stands for: model.dequantize().save_pretrained(folder)."
    )


def _unpack_8_bits(weights: Weights, name: str) -> None:
    own = name.removesuffix("SCB") + "weight"
    packed = weights.pop(own)
    scales = weights.pop(name)
    layout = weights.pop(f"{own}_format", None)
    if layout is not None and int(layout) != _BY_ROWS:
        raise ValueError("it is laid out for an old card")
    if packed.dtype != torch.int8 or scales.shape != packed.shape[:1]:
        raise ValueError(f"{scales.numel()} scales of {tuple(packed.shape)} numbers of {packed.dtype}")
    weights[own] = packed.float() * (scales.float()[:, None] / 127)


def _unpack_4_bits(weights: Weights, name: str) -> None:
    own = name.partition(_STATE)[0]
    state = _state(weights.pop(name))
    shape = tuple(int(size) for size in state["shape"])
    count = math.prod(shape)
    packed = weights.pop(own).contiguous().view(torch.uint8).flatten()
    if min(shape, default=0) < 1 or len(packed) != -(-count // 2):
        raise ValueError(f"{len(packed)} bytes for the shape {shape}")
    codes = torch.stack([packed >> 4, packed & 15], 1).flatten()[:count]
    values = _of_codes(codes, weights.pop(f"{own}.quant_map"), _largest(weights, own, state), state["blocksize"])
    weights[own] = values.reshape(shape).to(_DTYPES[state["dtype"]]).float()


def _state(packed: Tensor) -> dict[str, Any]:
    if packed.dtype != torch.uint8 or packed.numel() > _MOST_JSON:
        raise ValueError("its state is no short text")
    content = json.loads(bytes(packed.tolist()))
    if not isinstance(content, dict):
        raise TypeError("its state is no object")
    return content


def _largest(weights: Weights, own: str, state: Mapping[str, Any]) -> Tensor:
    """The largest absolute value of every block."""
    largest = weights.pop(f"{own}.absmax")
    if "nested_offset" not in state:
        return largest
    table = weights.pop(f"{own}.nested_quant_map")
    blocks = _of_codes(largest, table, weights.pop(f"{own}.nested_absmax"), state["nested_blocksize"])
    return blocks + float(state["nested_offset"])


def _of_codes(codes: Tensor, table: Tensor, largest: Tensor, block: Any) -> Tensor:
    """The numbers that codes stand for, `(count,)`; each of `largest` counts for a block of codes."""
    if not isinstance(block, int) or block < 1 or len(largest) != -(-len(codes) // block):
        raise ValueError(f"{len(largest)} blocks of {block} for {len(codes)} codes")
    blocks = torch.arange(len(codes)) // block
    return table.float()[codes.int()] * largest.float()[blocks]
