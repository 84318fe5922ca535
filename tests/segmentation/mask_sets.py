"""Made-up pictures with a class for every pixel, a tenth of whose masks is damaged: coloured shapes, and digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, zoom
from sklearn.datasets import load_digits

CLASSES = ("background", "disc", "square", "cross")
COLOURS = ((90, 90, 90), (200, 80, 70), (70, 190, 90), (80, 90, 210))
SIDE = 24  # pixels of a picture of shapes
N_IMAGES = 60
KINDS = 5
"""Of digits, from 0 on: a small network learns to tell so many in seconds."""
DIGITS_SIDE, DIGIT_SIDE = 32, 14  # pixels of a picture of digits, and of a digit
DAMAGED = 0.1
DAMAGES = ("swapped", "dropped", "shifted", "dilated")
"""An object of another class, an object left out, the whole mask moved, and every object too large."""
SHIFT = 2  # pixels of 32: as a mask is off that was drawn on a copy of another size
DILATION = 1


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Images, masks as they should be and as they are given, `(n, side, side)`, and each one's damage, "" for none."""

    images: NDArray[np.uint8]
    true: NDArray[np.uint8]
    given: NDArray[np.uint8]
    damage: NDArray[np.str_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.asarray(self.damage != "")


def shapes(seed: int = 0, n: int = N_IMAGES) -> MaskSet:
    """Coloured discs, squares and crosses, some of other classes than their masks say, and some left out."""
    rng = np.random.default_rng(seed)
    true = np.stack([_shapes(rng) for _ in range(n)])
    images = np.array(COLOURS)[true] + rng.normal(0, 15, (n, SIDE, SIDE, 3))
    given, damage = _damaged_masks(true, n // 10, DAMAGES[:2], len(CLASSES), rng)
    return MaskSet(images.clip(0, 255).astype(np.uint8), true, given, damage)


def digits(seed: int, n: int = 300) -> MaskSet:
    """One to three of scikit-learn's digits on noise, each pixel of a digit of its class, with all kinds of damage."""
    rng = np.random.default_rng(seed)
    known = load_digits(n_class=KINDS)
    canvases = [_canvas(rng, known.images, known.target) for _ in range(n)]
    true = np.stack([mask for _, mask in canvases])
    given, damage = _damaged_masks(true, round(DAMAGED * n), DAMAGES, KINDS + 1, rng)
    return MaskSet(np.stack([image for image, _ in canvases]), true, given, damage)


def _shapes(rng: np.random.Generator) -> NDArray[np.uint8]:
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


def _canvas(
    rng: np.random.Generator, drawn: NDArray[np.float64], classes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image = rng.normal(50, 18, (DIGITS_SIDE, DIGITS_SIDE)) + 30 * np.sin(np.arange(DIGITS_SIDE) / rng.uniform(3, 9))
    mask = np.zeros((DIGITS_SIDE, DIGITS_SIDE), dtype=np.uint8)
    cells = rng.permutation(4)[: rng.integers(1, 4)]
    for cell in cells:
        which = rng.integers(len(drawn))
        digit = zoom(drawn[which], DIGIT_SIDE / 8, order=1)
        y, x = (DIGITS_SIDE // 2 * np.array(divmod(int(cell), 2)) + rng.integers(0, 2, 2)).tolist()
        part = np.s_[y : y + DIGIT_SIDE, x : x + DIGIT_SIDE]
        ink = digit > 5
        image[part] += 10 * digit * rng.uniform(0.7, 1.1)
        mask[part][ink] = classes[which] + 1
    return image.clip(0, 255).astype(np.uint8), mask


def _damaged_masks(
    true: NDArray[np.uint8], count: int, kinds: Sequence[str], n_classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    given = true.copy()
    damage = np.full(len(true), "", dtype="<U8")
    for place, row in enumerate(rng.permutation(len(true))[:count].tolist()):
        damage[row] = kinds[place % len(kinds)]
        given[row] = _damaged(true[row], damage[row], n_classes, rng)
    return given, damage


def _damaged(mask: NDArray[np.uint8], damage: str, n_classes: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    mask = mask.copy()
    if damage in ("swapped", "dropped"):
        present = np.unique(mask[mask > 0])
        which = mask == rng.choice(present)
        mask[which] = rng.choice(np.setdiff1d(np.arange(1, n_classes), present)) if damage == "swapped" else 0
    elif damage == "shifted":
        mask = np.roll(mask, rng.choice((-SHIFT, SHIFT), 2), axis=(0, 1))
    else:
        for value in np.unique(mask[mask > 0]):
            mask[binary_dilation(mask == value, iterations=DILATION) & (mask == 0)] = value
    return mask
