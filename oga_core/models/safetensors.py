"""safetensors files: a JSON header and raw numbers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from oga_core.errors import OgaError

Weights = dict[str, Tensor]


def is_safetensors(path: Path) -> bool:
    """Look at the first bytes: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{" and not start.startswith(b"PK"))


def read_safetensors(path: Path) -> Weights:
    """Read a safetensors file as it is. Raises `OgaError` when it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise OgaError(
            f"{path.name} is not a readable safetensors file: {str(error)[:200]}. Save the weights again."
        ) from None
