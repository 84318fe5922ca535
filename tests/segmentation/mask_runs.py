"""Files of images with masks, and small networks that were trained on them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from here import score_here
from mask_sets import CLASSES, SIDE, MaskSet
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128] + [0] * 756


class SmallSegmenter(nn.Module):
    """Two convolutions and a 1 × 1 convolution as head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


def trained(data: MaskSet, steps: int = 300) -> SmallSegmenter:
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


def members_of(data: MaskSet, palette: bool = True) -> dict[str, bytes]:
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
