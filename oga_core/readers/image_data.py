"""Decode untrusted image bytes, and turn decoded images upright for people."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from oga_core.errors import UnreadableSample

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
MAX_PIXELS = 40_000_000  # 120 MB when decoded
MAX_BYTES = 256_000_000

Read = TypeVar("Read")

_side: ContextVar[int | None] = ContextVar("side", default=None)

FIRST_FRAME = "animated: the first frame is used"
ON_WHITE = "transparent: shown on white"
SIXTEEN_BIT = "16 bits a channel: scaled to 8"


def decode_image(data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode to RGB, 8 bits a channel, as stored (EXIF orientation is not applied), with notes on what was changed.

    Raises `UnreadableSample` for anything but a whole JPEG, PNG, WEBP, BMP, GIF or TIFF of at most 40 million pixels.
    """
    return read_encoded(data, _decoded)


def read_encoded(data: bytes, read: Callable[[Image.Image], Read]) -> Read:
    """Return what a function reads of an untrusted image, of at most 40 million pixels.

    Raises `UnreadableSample` where it fails, for whatever reason.
    """
    if not data:
        raise UnreadableSample("the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableSample(f"{image.width} × {image.height} pixels; at most {MAX_PIXELS:,} are read")
        return read(image)
    except UnidentifiedImageError:
        raise UnreadableSample(f"not an image in a known format ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableSample(f"too many pixels; at most {MAX_PIXELS:,} are read") from None
    except UnreadableSample:
        raise
    except MemoryError:
        raise UnreadableSample("decoding it takes more memory than is left") from None
    except Exception as error:  # decoders raise anything on damaged data: OSError, SyntaxError, struct.error, …
        raise UnreadableSample(f"damaged image: {error}") from None


def _decoded(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    notes = (FIRST_FRAME,) if image.format != "MPO" and getattr(image, "is_animated", False) else ()
    side = _side.get()
    if side is not None:
        image = _reduced(image, side)
    image.load()
    converted, changes = _to_rgb(image)
    return converted, notes + changes


@contextmanager
def reduced_to(side: int) -> Iterator[None]:
    """Decode large images only as finely as a preview of `side` pixels needs, which takes less time and memory."""
    token = _side.set(side)
    try:
        yield
    finally:
        _side.reset(token)


def array_image(pixels: np.ndarray[Any, Any]) -> Image.Image:
    """Turn `(height, width)` or `(height, width, 1 | 3 | 4)` pixels, uint8 or float in 0 to 1, into an RGB image."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels.astype(np.float32), 0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return _to_rgb(Image.fromarray(np.ascontiguousarray(pixels)))[0]


def preview_image(image: Image.Image) -> Image.Image:
    """Turn a decoded image upright as its EXIF orientation says, for people; the model gets it as stored."""
    return ImageOps.exif_transpose(image)


def _reduced(image: Any, side: int) -> Image.Image:
    """The image with about two pixels for each of the preview's, where it has more, in its own mode."""
    image.draft(None, (2 * side, 2 * side))  # a JPEG decodes to a half, a quarter or an eighth of its size
    step = min(image.size) // (2 * side)
    if step < 2:
        return image
    image.load()
    if image.mode in ("L", "RGB", "RGBA", "CMYK"):
        smaller = image.reduce(step)
    else:  # palettes, 16 bits and bilevel: taking every step-th pixel keeps the mode
        smaller = image.resize((image.width // step, image.height // step), Image.Resampling.NEAREST)
    smaller.info.update(image.info)
    if "exif" not in smaller.info and image.getexif():  # TIFF keeps its orientation elsewhere
        smaller.info["exif"] = image.getexif().tobytes()
    return smaller


def _to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image, ()
    if image.mode.startswith("I"):
        return _from_16_bit(image), (SIXTEEN_BIT,)
    if image.mode == "F":
        raise UnreadableSample("floating-point pixels have no fixed range; save the image with 8 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image)
    return image.convert("RGB"), ()


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise UnreadableSample("pixels outside 0 to 65,535; save the image with 8 bits a channel")
    scaled = Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    scaled.info.update(image.info)
    return scaled


def _on_white(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    layered = image.convert("RGBA")
    if layered.getchannel("A").getextrema()[0] == 255:
        return layered.convert("RGB"), ()
    white = Image.new("RGBA", layered.size, "white")
    result = Image.alpha_composite(white, layered).convert("RGB")
    result.info.update(image.info)
    result.info.pop("transparency", None)
    return result, (ON_WHITE,)
