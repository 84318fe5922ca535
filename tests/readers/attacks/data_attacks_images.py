"""Hostile and broken images."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from data_attack_files import PNG, refused, unreadable
from reader_sets import encoded, picture, write_folder, write_zip


@refused("no class folders and no table of labels")
def loose_images(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"0.png": PNG, "1.png": PNG})


@refused("has no image")
def table_of_strangers(tmp: Path) -> Path:
    table = "file_name,label\n../../etc/passwd,a\n/etc/passwd,b\n"
    return write_folder(tmp / "set", {"0.png": PNG, "metadata.csv": table})


@refused("save it as PNG or JPEG")
def svg(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"cat/0.png": PNG, "cat/1.svg": "<svg onload='alert(1)'/>"})


def _png(width: int, height: int) -> bytes:
    """A PNG of few bytes that states any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(min(height * (1 + width // 8), 30_000_000)), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _photo(kind: str = "JPEG") -> bytes:
    return encoded(picture(0, (64, 64)), kind)


def _unreadable_image(name: str, content: bytes, message: str) -> None:
    def build(tmp: Path) -> Path:
        return write_zip(tmp / "a.zip", {"cat/0.png": content})

    unreadable(name, build, message)


def _postscript(tmp: Path) -> bytes:
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch {tmp}/marker) (%pipe%) run\n".encode()


_unreadable_image("image_52_megapixels", _png(8_000, 6_500), "8000 × 6500 pixels; at most 40,000,000")
_unreadable_image("image_169_megapixels", _png(13_000, 13_000), "at most 40,000,000")
_unreadable_image("image_3600_megapixels", _png(60_000, 60_000), "at most 40,000,000")
_unreadable_image("image_cut_jpeg", _photo()[:-400], "damaged image")
_unreadable_image("image_cut_png", _photo("PNG")[:-400], "damaged image")
_unreadable_image("image_bit_rot", _photo("PNG")[:200] + b"\0" * 50 + _photo("PNG")[250:], "damaged image")
_unreadable_image("image_empty", b"", "the file is empty")
_unreadable_image("image_html", b"<html><script>alert(1)</script></html>", "not an image in a known format")
_unreadable_image("image_svg_inside", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a known format")


def _eps(tmp: Path) -> Path:
    return write_zip(tmp / "a.zip", {"cat/0.jpg": _postscript(tmp)})


unreadable("image_eps", _eps, "not an image in a known format")
