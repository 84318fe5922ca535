"""Decode untrusted masks: one index of a class for every pixel."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oga_core.errors import UnreadableSample
from oga_core.readers.image_data import read_encoded
from oga_core.samples import MASK_LARGEST

_LOSSY = ("JPEG", "MPO", "WEBP")
_HOW = (
    "save the index of each pixel's class: Image.fromarray(indices.astype('uint8')).save('mask.png'), in a palette's "
    "colours after .convert('P') and putpalette"
)


def decode_mask(data: bytes) -> NDArray[np.uint16]:
    """Return the numbers of a mask as they are stored, `(height, width)`: of a palette its indices.

    Raises `UnreadableSample` for colours without a palette, for what changes numbers when it is saved, and for what
    `decode_image` refuses.
    """
    return read_encoded(data, _indices)


def encode_mask(indices: NDArray[np.uint16], like: bytes) -> bytes:
    """Return other numbers as a file of the kind and mode of a mask's, and in its palette where it has one.

    like: the file of the mask. Raises `UnreadableSample` where that is none.
    """
    kind, mode, palette = read_encoded(like, lambda image: (image.format, image.mode, image.getpalette()))
    if mode == "1" and indices.max(initial=0) <= 1:
        image = Image.fromarray(indices.astype(bool))
    elif indices.max(initial=0) > 255 or mode.startswith("I"):
        image = Image.fromarray(indices)
    else:
        image = Image.fromarray(indices.astype(np.uint8))
        if palette:
            image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, kind or "PNG")
    return file.getvalue()


def resized(mask: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return the nearest pixels of a mask for another height and width."""
    if mask.shape == size:
        return mask
    rows, columns = (_nearest(old, new) for old, new in zip(mask.shape, size, strict=True))
    return mask[rows[:, None], columns]


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    return ((np.arange(new) + 0.5) * old / new).astype(np.int64)


def _indices(image: Image.Image) -> NDArray[np.uint16]:
    if image.format in _LOSSY:
        raise UnreadableSample(f"its mask is a {image.format}, which changes numbers; save it as PNG")
    if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
        raise UnreadableSample(f"its mask is in colours ({image.mode}) without a palette; {_HOW}")
    image.load()
    numbers = np.asarray(image)
    if numbers.dtype not in (np.bool_, np.uint8) and (numbers.min() < 0 or numbers.max() > MASK_LARGEST):
        raise UnreadableSample(f"its mask has numbers outside 0 to {MASK_LARGEST:,}; {_HOW}")
    return numbers.astype(np.uint16)
