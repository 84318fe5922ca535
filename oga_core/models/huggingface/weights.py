"""The weights of a Hugging Face folder: one safetensors file, or the shards that its index names."""

from __future__ import annotations

from pathlib import Path

import torch

from oga_core.errors import OgaError
from oga_core.models.folders import weight_files
from oga_core.models.safetensors import Weights, read_safetensors


def read_folder_weights(folder: Path) -> Weights:
    """Read model.safetensors, or the shards of its index, from this folder and no other."""
    weights: Weights = {}
    for path in weight_files(folder):
        shard = read_safetensors(path)
        if weights.keys() & shard.keys():
            raise OgaError(f"{path.name} repeats tensors of another shard. Save the model again.")
        weights |= shard
    strange = {name: tensor.dtype for name, tensor in weights.items() if tensor.dtype not in _DTYPES}
    if strange:
        name, dtype = next(iter(strange.items()))
        raise OgaError(
            f"{folder.name} holds {name!r} as {dtype}: quantised weights have no gradients. "
            "Save the model as float16 or float32."
        )
    return weights


_DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.bool,
    torch.uint8,
)
