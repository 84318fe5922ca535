"""The weights of a Hugging Face folder: one safetensors file, or the shards that its index names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from oga_core.errors import OgaError
from oga_core.models.folders import weight_files
from oga_core.models.safetensors import DTYPES, Weights, read_safetensors


def read_folder_weights(folder: Path, dtypes: Collection[torch.dtype] = DTYPES) -> Weights:
    """Read model.safetensors, or the shards of its index, from this folder and no other."""
    weights: Weights = {}
    for path in weight_files(folder):
        shard = read_safetensors(path, dtypes)
        if weights.keys() & shard.keys():
            raise OgaError(f"{path.name} repeats tensors of another shard. Save the model again.")
        weights |= shard
    return weights


def storage_notes(weights: Weights) -> list[str]:
    """Return a sentence where weights were stored in another type than the float32 that is computed in."""
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()} - {"float32", "int64"})
    return [f"The weights were stored as {', '.join(kinds)} and are used as float32."] if kinds else []
