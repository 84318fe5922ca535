"""The worker's part of showing an image with a mask: the layers that lie over the picture, and what colours mean."""

from __future__ import annotations

import base64
import colorsys
import io
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oga_core.errors import OgaError
from oga_core.previews.content import Preview
from oga_core.previews.drawing import picture
from oga_core.readers.image_data import reduced_to
from oga_core.readers.masks.mask_data import resized
from oga_core.readers.masks.masks import UNCOUNTED
from oga_core.runs.folder import RunFolder
from oga_core.runs.pixels import RunPixels
from oga_core.samples import SampleSet, UnreadableSample

GIVEN, PREDICTED, LOSSES = "Mask", "Model's mask", "Loss"
HUES = (25, 210, 140, 285, 330, 80, 175, 255)
"""Steps of the colour wheel that eyes tell apart, as of tags."""
LIGHTNESS = (0.5, 0.35, 0.68)
"""Of the first eight classes, of the next and of those after them."""
BACKGROUND = ("background", "unlabeled", "void", "none")
"""Names of first classes that are no object, and have no colour."""
INSIDE, EDGE = 110, 255  # opacity: an object stays visible, its outline tells where the mask ends
LARGEST_LOSS = 4.0
"""Of a cell, from which its shade is full: the model gives its classes a probability of one in fifty."""
_OUTLINED = 256  # pixels a side from which an outline of one pixel is thin
_WARM = (217, 72, 28)
_NO_CLASS = (128, 128, 128)


def masked_preview(samples: SampleSet, row: int, side: int, run: RunFolder | None = None) -> Preview:
    """Return an image with its mask, the mask that the model predicts and the losses of its regions as layers.

    All are of the picture's shape, at most `side` pixels. run: whose rows those of `samples` are; None before anything
    is scored.
    """
    try:
        image, given = _read(samples, row, side)
    except (UnreadableSample, OSError, ValueError) as error:
        return Preview(unreadable=f"This sample cannot be read: {error}")
    shown = picture(image, side)
    image.thumbnail((side, side))
    factor = max(1, min(_OUTLINED, side) // max(image.size))
    size = (image.height * factor, image.width * factor)
    masks = {GIVEN: resized(given, size)}
    losses = None
    if run is not None:
        with suppress(OgaError):  # a run that is damaged says so elsewhere
            masks[PREDICTED] = resized(_pixels(run).predicted(row), size)
            losses = _pixels(run).losses(row)
    names = samples.class_names
    layers = [(name, _address(coloured(mask, names))) for name, mask in masks.items()]
    layers += [] if losses is None else [(LOSSES, _address(heat(losses, size)))]
    present = np.unique(np.concatenate([np.unique(mask) for mask in masks.values()])).tolist()
    legend = tuple((names[index], _hex(colour_of(index, names))) for index in present if 0 <= index < len(names))
    return replace(shown, layers=tuple(layers), legend=legend)


def masked_picture(samples: SampleSet, row: int, side: int) -> Preview:
    """Return a small picture with the mask painted on it, for lists that have room for one."""
    try:
        image, given = _read(samples, row, side)
    except (UnreadableSample, OSError, ValueError) as error:
        return Preview(unreadable=f"This sample cannot be read: {error}")
    image.thumbnail((side, side))
    mask = Image.fromarray(coloured(resized(given, (image.height, image.width)), samples.class_names))
    return picture(Image.alpha_composite(image.convert("RGBA"), mask), side)


def _read(samples: SampleSet, row: int, side: int) -> tuple[Image.Image, NDArray[np.int32]]:
    """The image as it is stored, as its mask is, not turned upright for people."""
    with reduced_to(side):
        image: Image.Image = samples.inputs[row]
    assert samples.masks is not None, "only asked for images with masks"
    return image, samples.masks[row]


@cache
def _pixels(run: RunFolder) -> RunPixels:
    return RunPixels(run)


def colour_of(index: int, names: tuple[str, ...]) -> tuple[int, int, int] | None:
    """The colour of a class, red, green and blue; None for a first class that is background."""
    if index == 0 and names[:1] and names[0].strip().casefold() in BACKGROUND:
        return None
    lightness = LIGHTNESS[index // len(HUES) % len(LIGHTNESS)]
    red, green, blue = colorsys.hls_to_rgb(HUES[index % len(HUES)] / 360, lightness, 0.8)
    return round(255 * red), round(255 * green), round(255 * blue)


def coloured(mask: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.uint8]:
    """Each class in its colour, half transparent with opaque outlines, `(height, width, 4)`."""
    picture = np.zeros((*mask.shape, 4), dtype=np.uint8)
    edge = _edges(mask)
    for index in np.unique(mask).tolist():
        colour = _NO_CLASS if index == UNCOUNTED else colour_of(index, names)
        if colour is not None:
            inside = mask == index
            picture[inside] = (*colour, INSIDE)
            picture[inside & edge] = (*colour, EDGE)
    return picture


def heat(losses: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Mean losses of regions in one warm colour, the stronger the larger, `(height, width, 4)`; -1 is no loss."""
    share = np.clip(losses / LARGEST_LOSS, 0, 1)
    small = Image.fromarray((255 * share).astype(np.uint8))
    large = np.asarray(small.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    picture = np.empty((*size, 4), dtype=np.uint8)
    picture[..., :3] = _WARM
    picture[..., 3] = 0.85 * large
    return picture


def _edges(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels with another class on one of their four sides."""
    edge = np.zeros(mask.shape, dtype=bool)
    for axis in (0, 1):
        changes = np.diff(mask, axis=axis) != 0
        first, last = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        edge[first] |= changes
        edge[last] |= changes
    return edge


def _hex(colour: tuple[int, int, int] | None) -> str:
    return "" if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)


def _address(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
