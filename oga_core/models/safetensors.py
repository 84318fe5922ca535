"""safetensors files: a JSON header and raw numbers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from oga_core.errors import OgaError

Weights = dict[str, Tensor]

DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.bool,
    torch.uint8,
)


def is_safetensors(path: Path) -> bool:
    """Look at the first bytes: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{" and not start.startswith(b"PK"))


def read_safetensors(path: Path, dtypes: Collection[torch.dtype] = DTYPES) -> Weights:
    """Read a safetensors file as it is. Raises `OgaError` when it is damaged, and for numbers not of `dtypes`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise OgaError(
            f"{path.name} is not a readable safetensors file: {why[:200]}. Save the weights again."
        ) from None
    for name, tensor in weights.items():
        if tensor.dtype not in dtypes:
            raise OgaError(
                f"{path.name} holds {name!r} as {tensor.dtype}: quantised weights have no gradients. "
                "Save the model as float16 or float32."
            )
    return weights
