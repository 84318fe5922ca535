"""Every kind of layer against gradients computed one by one."""

from __future__ import annotations

import pytest
import torch
from engine_helpers import Pooled, assert_exact, random_samples
from torch import nn

CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3), (4, 9, 8)),
    "wide": (nn.Conv2d(70, 66, 3, padding=1), (70, 5, 5)),
    "strided": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8)),
    "uneven stride, cut border": (nn.Conv2d(4, 6, (3, 2), stride=(3, 2)), (4, 11, 9)),
    "dilated": (nn.Conv2d(4, 6, 3, dilation=2, padding=(2, 1)), (4, 9, 8)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 9, 8)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding=1), (4, 9, 8)),
    "pointwise strided": (nn.Conv2d(4, 6, 1, stride=2), (4, 9, 8)),
    "same": (nn.Conv2d(4, 6, 5, padding="same"), (4, 9, 8)),
    "valid": (nn.Conv2d(4, 6, 3, padding="valid"), (4, 9, 8)),
    "circular": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (4, 9, 8)),
    "one output channel": (nn.Conv2d(4, 1, 3), (4, 9, 8)),
    "no bias": (nn.Conv2d(4, 6, 3, bias=False), (4, 9, 8)),
    "one dimension": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 17)),
    "three dimensions": (nn.Conv3d(4, 6, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1)), (4, 3, 6, 5)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), (4, 5, 6)),
    "transposed strided": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), (4, 5, 6)),
    "transposed grouped": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, dilation=2), (4, 5, 6)),
    "transposed one dimension": (nn.ConvTranspose1d(4, 6, 4, stride=3), (4, 7)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("on_tape", [False, True])
def test_convolutions(name, on_tape, tmp_path):
    layer, shape = CONVOLUTIONS[name]
    first = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}[len(shape)](shape[0], shape[0], 1) if on_tape else None
    channels = layer.out_channels
    assert_exact(Pooled(layer, channels, first), random_samples(8, *shape), tmp_path)


NORMS = {
    "batch": (nn.BatchNorm2d(4), (4, 5, 6)),
    "batch, flat": (nn.BatchNorm1d(4), (4,)),
    "batch, sequences": (nn.BatchNorm1d(4), (4, 7)),
    "group": (nn.GroupNorm(2, 4), (4, 5, 6)),
    "instance": (nn.InstanceNorm2d(4, affine=True), (4, 5, 6)),
    "instance, running": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (4, 5, 6)),
    "layer over the image": (nn.LayerNorm((4, 5, 6)), (4, 5, 6)),
    "layer": (nn.LayerNorm(6), (4, 6)),
    "root mean square": (nn.RMSNorm(6), (4, 6)),
    "root mean square, eps": (nn.RMSNorm(6, eps=0.1), (4, 6)),
    "no bias": (nn.LayerNorm(6, bias=False), (4, 6)),
    "prelu": (nn.PReLU(4), (4, 5, 6)),
    "prelu, one slope": (nn.PReLU(), (4, 5, 6)),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("on_tape", [False, True])
def test_normalisations(name, on_tape, tmp_path):
    layer, shape = NORMS[name]
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())):
            tensor.uniform_(0.5, 2)
    first = nn.Linear(shape[-1], shape[-1]) if on_tape else None
    assert_exact(Pooled(layer, 4, first), random_samples(8, *shape), tmp_path)
