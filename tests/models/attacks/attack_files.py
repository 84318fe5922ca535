"""The register of attack files, and what several of them are made of."""

from __future__ import annotations

import os
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

CARD = {"modality": "tabular", "classes": ["a", "b"], "input": {"features": ["x", "y", "z"]}}


@dataclass(frozen=True)
class Attack:
    build: Callable[[Path, Path], Path]
    refused: str | None


ATTACKS: dict[str, Attack] = {}


def attack(refused: str | None) -> Callable[[Callable[[Path, Path], Path]], Callable[[Path, Path], Path]]:
    """Register a builder `(folder, marker) -> path`; `refused` is a regular expression of the error's message."""

    def register(build: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        ATTACKS[build.__name__] = Attack(build, refused)
        return build

    return register


class Payload:
    """Unpickling it writes the marker."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip again with changed entries."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))
    return path


def weights() -> dict[str, torch.Tensor]:
    return {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}


BOMB = 2 << 30  # bytes, more than the memory that a refusal may take


def add_bomb(archive: zipfile.ZipFile, name: str) -> None:
    """Add `BOMB` zeros as a valid deflated entry, one compressed piece written many times."""
    piece = bytes(16 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    info = zipfile.ZipInfo(name)
    archive.writestr(info, packed * (BOMB // len(piece)) + deflate.flush())
    checksum = 0
    for _ in range(BOMB // len(piece)):
        checksum = zlib.crc32(piece, checksum)
    info.compress_type, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, BOMB, checksum


def build_quietly(builder: Callable[[], Path]) -> Path:
    """Build without warnings: what is deprecated today is what old files hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return builder()
