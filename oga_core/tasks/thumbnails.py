"""Small grey copies of the images of a batch, by which near-duplicates are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from oga_core.tasks.task import Batch

SMALLEST = 16
LARGEST = 32
"""Pixels a side: below, many different images are alike; more would show nothing that tells copies better."""


def thumbnails(batch: Batch) -> dict[str, Tensor]:
    """`{"thumbnails": (batch, ≤ 32, ≤ 32) uint8}` from darkest to brightest pixel; {} without images."""
    images = batch.get("images")
    if images is None or images.ndim != 4 or min(images.shape[2:]) < SMALLEST:
        return {}
    grey = images.float().mean(dim=1, keepdim=True)
    height, width = (min(side, LARGEST) for side in images.shape[2:])
    small = nn.functional.adaptive_avg_pool2d(grey, (height, width))[:, 0]
    low = small.amin(dim=(1, 2), keepdim=True)
    high = small.amax(dim=(1, 2), keepdim=True)
    return {"thumbnails": (255 * (small - low) / (high - low).clamp_min(1e-6)).round().to(torch.uint8)}
