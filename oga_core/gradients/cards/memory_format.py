"""The order in which a card finds the numbers of images and filters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from oga_core.gradients.precision import is_short


def suits_channels_last(device: torch.device, precision: str, model: nn.Module) -> bool:
    """Whether filters are to lie channel by channel, so that images between layers do too.

    A card multiplies short numbers (TF32, bfloat16, float16) of images that lie so, and else turns them round before
    and after each convolution. That is worth it for a network of convolutions: one that has more parameters of four
    axes than of two, which a transformer with a convolution at its start has not.
    """
    if device.type != "cuda" or (precision == "float32" and not is_short(model)):
        return False
    n_axes = [parameter.ndim for parameter in model.parameters()]
    return n_axes.count(4) > n_axes.count(2)


def in_suitable_format(device: torch.device, precision: str, model: nn.Module) -> AbstractContextManager[None]:
    """Have the filters of a model lie as suits the device for a while."""
    return channels_last(model) if suits_channels_last(device, precision, model) else nullcontext()


@contextmanager
def channels_last(model: nn.Module) -> Iterator[None]:
    """Have the filters of a model lie channel by channel for a while; afterwards they lie as before."""
    filters = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    originals = [parameter.data for parameter in filters]
    try:
        for parameter in filters:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
        yield
    finally:
        for parameter, data in zip(filters, originals, strict=True):
            parameter.data = data
