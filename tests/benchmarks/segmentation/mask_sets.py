"""Digits on noisy canvases with a mask for each, a tenth of them damaged, and a small network trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, zoom
from sklearn.datasets import load_digits
from torch import Tensor, nn

IMAGES = 300
SIDE = 32
KINDS = 5
"""Of digits, from 0 on: a small network learns to tell so many in seconds."""
SIZE = 14  # pixels of a digit
DAMAGED = 0.1
DAMAGES = ("swapped", "dropped", "shifted", "dilated")
"""An object of another class, an object left out, the whole mask moved, and every object too large."""
SHIFT = 2  # pixels of 32: as a mask is off that was drawn on a copy of another size
DILATION = 1


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Images `(n, side, side)` uint8, masks as they are given, and which way each was damaged, "" for none."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    damage: NDArray[np.str_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return self.damage != ""


def mask_set(seed: int, n_images: int = IMAGES) -> MaskSet:
    """Compose canvases and damage a tenth of their masks."""
    rng = np.random.default_rng(seed)
    digits = load_digits(n_class=KINDS)
    canvases = [_canvas(rng, digits.images, digits.target) for _ in range(n_images)]
    images = np.stack([image for image, _ in canvases])
    masks = np.stack([mask for _, mask in canvases])
    damage = np.full(n_images, "", dtype="<U8")
    rows = rng.permutation(n_images)[: round(DAMAGED * n_images)]
    for place, row in enumerate(rows):
        damage[row] = DAMAGES[place % len(DAMAGES)]
        masks[row] = _damaged(masks[row], damage[row], rng)
    return MaskSet(images, masks, damage)


def _canvas(
    rng: np.random.Generator, digits: NDArray[np.float64], classes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image = rng.normal(50, 18, (SIDE, SIDE)) + 30 * np.sin(np.arange(SIDE) / rng.uniform(3, 9))
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    cells = rng.permutation(4)[: rng.integers(1, 4)]
    for cell in cells:
        which = rng.integers(len(digits))
        digit = zoom(digits[which], SIZE / 8, order=1)
        y, x = (SIDE // 2 * np.array(divmod(int(cell), 2)) + rng.integers(0, 2, 2)).tolist()
        part = np.s_[y : y + SIZE, x : x + SIZE]
        ink = digit > 5
        image[part] += 10 * digit * rng.uniform(0.7, 1.1)
        mask[part][ink] = classes[which] + 1
    return image.clip(0, 255).astype(np.uint8), mask


def _damaged(mask: NDArray[np.uint8], damage: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    mask = mask.copy()
    if damage in ("swapped", "dropped"):
        present = np.unique(mask[mask > 0])
        which = mask == rng.choice(present)
        mask[which] = rng.choice(np.setdiff1d(np.arange(1, KINDS + 1), present)) if damage == "swapped" else 0
    elif damage == "shifted":
        mask = np.roll(mask, rng.choice((-SHIFT, SHIFT), 2), axis=(0, 1))
    else:
        for value in np.unique(mask[mask > 0]):
            mask[binary_dilation(mask == value, iterations=DILATION) & (mask == 0)] = value
    return mask


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
    masks = torch.from_numpy(data.masks.astype(np.int64))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * -(-len(images) // 20))
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(20):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), masks[rows]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()
