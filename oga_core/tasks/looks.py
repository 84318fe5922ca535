"""What images look like whatever they show: contrast, detail, colour, by which files of another kind are told."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from oga_core.tasks.thumbnails import LARGEST, SMALLEST

if TYPE_CHECKING:
    from oga_core.tasks.task import Batch

OCTAVES = (0.03, 0.08, 0.16, 0.28, 0.5)
"""Limits of the bands of detail, in cycles a pixel. Natural images lose power evenly from one to the next."""
LEVELS = 8
"""Steps a colour channel is counted in, from an image's darkest value to its brightest."""
EVEN = 0.02
"""Neighbouring pixels that differ by less than this share of an image's range are even, as in drawings."""
FLOOR = 0.01
"""Added to sizes before their logarithm: a hundredth of how far the inputs of most models spread, no more than noise.
"""


def looks(batch: Batch) -> dict[str, Tensor]:
    """`{"looks": (batch, 12 + n_channels) float32}`, statistics of natural scenes in a fixed order; {} without images.

    Contrast; how power falls from band to band (3); whether detail runs across or down; how rare steps are; the share
    of even neighbours; size, spread and steps of colour (3); the most frequent colour and the entropy of all; the mean
    of each channel. Torralba and Oliva, Network 2003.
    """
    images = batch.get("images")
    if images is None or images.ndim != 4 or min(images.shape[2:]) < SMALLEST:
        return {}
    height, width = (min(side, LARGEST) for side in images.shape[2:])
    small = nn.functional.adaptive_avg_pool2d(images.float(), (height, width))
    grey = small.mean(dim=1)
    statistics = [_log(grey.flatten(1).std(dim=1)), *_falls(grey), *_steps(grey), *_chroma(small, grey)]
    return {"looks": torch.cat([torch.stack([*statistics, *_colours(small)], 1), small.mean(dim=(2, 3))], 1)}


def _log(sizes: Tensor) -> Tensor:
    return (sizes + FLOOR).log()


def _root_mean_square(values: Tensor) -> Tensor:
    return values.flatten(1).square().mean(dim=1).sqrt()


def _falls(grey: Tensor) -> list[Tensor]:
    """How much the log power of each band is above that of the band before, of the image faded out to its edges."""
    height, width = grey.shape[1:]
    window = torch.hann_window(height, False)[:, None] * torch.hann_window(width, False)
    centred = grey - grey.mean(dim=(1, 2), keepdim=True)
    power = torch.fft.fft2(centred * window).abs().square() / window.square().sum()
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width))
    edges = pairwise(OCTAVES)
    bands = [_log(power[:, (frequency >= low) & (frequency < high)].mean(dim=1).sqrt()) for low, high in edges]
    return [second - first for first, second in pairwise(bands)]


def _steps(grey: Tensor) -> list[Tensor]:
    """Of the steps from pixel to pixel: across against down, mean against mean square, and the share that are none."""
    across = grey.diff(dim=2).flatten(1)
    down = grey.diff(dim=1).flatten(1)
    both = torch.cat([across, down], dim=1)
    direction = _log(_root_mean_square(across)) - _log(_root_mean_square(down))
    span = grey.flatten(1).amax(dim=1) - grey.flatten(1).amin(dim=1)
    even = (both.abs() <= EVEN * span[:, None]).float().mean(dim=1)
    return [direction.abs(), _log(both.abs().mean(dim=1)) - _log(_root_mean_square(both)), _log(even)]


def _chroma(small: Tensor, grey: Tensor) -> list[Tensor]:
    """What colour adds to grey: how much of it, how much it varies, and its steps against those of grey."""
    colour = small - grey[:, None]
    steps = _log(_root_mean_square(colour.diff(dim=3))) - _log(_root_mean_square(grey.diff(dim=2)))
    middle = colour.mean(dim=(2, 3))
    return [_log(middle.norm(dim=1)), _log(_root_mean_square(colour - middle[:, :, None, None])), steps]


def _colours(small: Tensor) -> list[Tensor]:
    """The log share of the most frequent colour and the entropy of all of them, `(batch,)` each."""
    values = small[:, :3].flatten(2)
    low = values.amin(dim=(1, 2), keepdim=True)
    high = values.amax(dim=(1, 2), keepdim=True)
    levels = ((values - low) / (high - low).clamp_min(1e-6) * LEVELS).long().clamp_max(LEVELS - 1)
    place = LEVELS ** torch.arange(levels.shape[1])
    codes = (levels * place[:, None]).sum(dim=1)
    counts = torch.zeros(len(small), LEVELS ** levels.shape[1])
    shares = counts.scatter_add(1, codes, torch.ones_like(codes, dtype=counts.dtype)) / codes.shape[1]
    return [_log(shares.amax(dim=1)), -torch.xlogy(shares, shares).sum(dim=1)]
