"""Images: scikit-learn's handwritten digits, enlarged to 32 × 32, 10 % of the labels wrong.

Writes digits.zip (class folders), digits_truth.csv and digits.pt2. Run: python sample_data/make_digits.py
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
import torch
from noise import FOLDER, SEED, flip_labels, train, write_truth
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from oga_core import package_model

CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SIZE = 32
NOISE = 0.10


class DigitNet(nn.Module):
    """Two convolutions and a linear head, 11,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Flatten(),
        )
        self.head = nn.Linear(32 * 4, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))


def enlarge(digit: np.ndarray) -> Image.Image:
    """8 × 8 values of 0 to 16 to a grey image of 32 × 32."""
    small = Image.fromarray((digit * (255 / 16)).round().astype(np.uint8))
    return small.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def main() -> None:
    """Write data, truth and model."""
    torch.manual_seed(SEED)
    digits = load_digits()
    given = flip_labels(digits.target.astype(np.int64), len(CLASSES), NOISE)
    images = [enlarge(digit) for digit in digits.images]
    names = [f"{CLASSES[label]}/{i:04d}.png" for i, label in enumerate(given)]
    with zipfile.ZipFile(FOLDER / "digits.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, image in zip(names, images, strict=True):
            data = io.BytesIO()
            image.save(data, format="PNG", optimize=True)
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data.getvalue())
    write_truth("digits", names, [CLASSES[label] for label in digits.target])

    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])[:, None] / 255.0).float()
    model = DigitNet()
    train(model, lambda rows: model((pixels[rows] - 0.3) / 0.35), given, epochs=12, learning_rate=5e-3)
    card = {"image_size": [SIZE, SIZE], "channels": 1, "mean": [0.3], "std": [0.35]}
    package_model(model, pixels[:2], FOLDER / "digits.pt2", classes=CLASSES, modality="image", input=card)


if __name__ == "__main__":
    main()
