"""A small network of two levels, trained on images with masks."""

from __future__ import annotations

import numpy as np
import torch
from mask_sets import KINDS, MaskSet
from torch import Tensor, nn


class SmallUNet(nn.Module):
    """Two levels down and up again, and a 1 × 1 convolution as head."""

    def __init__(self, n_classes: int = KINDS + 1, width: int = 8):
        super().__init__()
        self.down = nn.ModuleList([_block(1, width), _block(width, 2 * width), _block(2 * width, 4 * width)])
        self.up = nn.ModuleList([_block(6 * width, 2 * width), _block(3 * width, width)])
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        first = self.down[0](images)
        second = self.down[1](nn.functional.max_pool2d(first, 2))
        third = self.down[2](nn.functional.max_pool2d(second, 2))
        above = self.up[0](torch.cat([nn.functional.interpolate(third, scale_factor=2), second], 1))
        return self.head(self.up[1](torch.cat([nn.functional.interpolate(above, scale_factor=2), first], 1)))


def _block(n_in: int, n_out: int) -> nn.Module:
    layers = [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(n_out, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU())


def trained(data: MaskSet, seed: int, epochs: int) -> SmallUNet:
    """Train a network on the given masks, with per-pixel cross-entropy."""
    torch.manual_seed(seed)
    model = SmallUNet()
    images = torch.from_numpy(data.images[:, None] / np.float32(255))
    masks = torch.from_numpy(data.given.astype(np.int64))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * -(-len(images) // 20))
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(20):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), masks[rows]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()
