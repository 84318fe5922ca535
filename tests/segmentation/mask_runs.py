"""Made-up pictures of shapes with masks, a tenth of them damaged, and a small network that was trained on them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from here import score_here
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

CLASSES = ("background", "disc", "square", "cross")
COLOURS = ((90, 90, 90), (200, 80, 70), (70, 190, 90), (80, 90, 210))
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128] + [0] * 756
SIDE = 24
N_IMAGES = 60


@dataclass(frozen=True)
class Shapes:
    """Images `(n, side, side, 3)`, masks as they should be and as they are given, `(n, side, side)`."""

    images: NDArray[np.uint8]
    true: NDArray[np.uint8]
    given: NDArray[np.uint8]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.asarray((self.true != self.given).any(axis=(1, 2)))


def shapes(seed: int = 0, n: int = N_IMAGES) -> Shapes:
    rng = np.random.default_rng(seed)
    true = np.stack([_mask(rng) for _ in range(n)])
    images = np.array(COLOURS)[true] + rng.normal(0, 15, (n, SIDE, SIDE, 3))
    given = true.copy()
    for place, row in enumerate(rng.permutation(n)[: n // 10].tolist()):
        objects = np.unique(true[row][true[row] > 0])
        given[row][true[row] == objects[0]] = 0 if place % 2 else objects[0] % 3 + 1
    return Shapes(images.clip(0, 255).astype(np.uint8), true, given)


def _mask(rng: np.random.Generator) -> NDArray[np.uint8]:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    for column in range(int(rng.integers(1, 3))):
        kind = int(rng.integers(1, 4))
        size = int(rng.integers(4, 6))
        dy = np.abs(y - rng.integers(7, SIDE - 7))
        dx = np.abs(x - (6 + 12 * column))
        disc = dy**2 + dx**2 <= size**2
        square = np.maximum(dy, dx) <= size - 1
        cross = (np.minimum(dy, dx) < 2) & (np.maximum(dy, dx) < 6)
        mask[(disc, square, cross)[kind - 1]] = kind
    return mask


class SmallSegmenter(nn.Module):
    """Two convolutions and a 1 × 1 convolution as head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


def trained(data: Shapes, steps: int = 300) -> SmallSegmenter:
    torch.manual_seed(0)
    model = SmallSegmenter()
    images = torch.from_numpy(data.images / np.float32(255)).permute(0, 3, 1, 2).contiguous()
    masks = torch.from_numpy(data.given.astype(np.int64))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        rows = torch.randint(len(images), (16,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[rows]), masks[rows]).backward()
        optimiser.step()
    return model.eval()


def packaged(model: nn.Module, path: Path) -> Path:
    example = torch.rand(2, 3, SIDE, SIDE)
    return package_model(model, example, path, classes=CLASSES, loss="pixel_cross_entropy")


def png(pixels: NDArray[np.uint8], palette: bool = False) -> bytes:
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def members_of(data: Shapes, palette: bool = True) -> dict[str, bytes]:
    """The files of a set of images with masks, by name."""
    members = {}
    for i, (image, mask) in enumerate(zip(data.images, data.given, strict=True)):
        members[f"images/s{i:02}.png"] = png(image)
        members[f"masks/s{i:02}.png"] = png(mask, palette)
    return members


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_run(folder: Path, data: Path, model: Path, **options: object) -> RunFolder:
    return score_here(data, model, folder / "run", ScoreOptions(map="pca", **options))  # type: ignore[arg-type]
