"""Weights of a live model in a file: written during training, lent back to the model while it is scored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.files import write_whole


def save_weights(model: nn.Module, path: Path) -> None:
    """Write what training changes, trainable parameters and buffers, as a safetensors file.

    What stays frozen, such as the base under LoRA adapters, is not written again.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in _changing(model).items()}
    write_whole(path, lambda temporary: save_file(tensors, temporary))


@contextmanager
def lent_weights(model: nn.Module, path: Path) -> Iterator[None]:
    """Put the weights of a file into the model; afterwards it has its own again.

    Raises `OgaError` for a file that is no safetensors file, or whose names or shapes are not the model's.
    """
    weights = _read(path)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in weights.items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            raise OgaError(f"The checkpoint {path.name} has {name!r}, {tuple(tensor.shape)}, which the model has not.")
    own = {name: tensors[name].detach().clone() for name in weights}
    try:
        _assign(tensors, weights)
        yield
    finally:
        _assign(tensors, own)


def _changing(model: nn.Module) -> dict[str, Tensor]:
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {**parameters, **dict(model.named_buffers())}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise OgaError(f"The checkpoint {str(path)!r} cannot be read: {error}. Give a .safetensors file.") from None


def _assign(tensors: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)
