"""Room for arrays that grow with the data: in memory, or in files, out of which the system gives memory back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE = 1 << 22
"""Bytes from which an array lies in a file: of fewer, thousands would be no burden, and a file takes longer."""

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Give large arrays room in a folder meanwhile, on a disk with room for a few hundred bytes a sample."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def room(shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array to be filled, whose content is not set: in a nameless file where it is large (see `room_in`).

    The file is gone with the array. Where the disk has no room, or there is no folder, it lies in memory.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    folder = _folder.get()
    if folder is None or size < LARGE:
        return np.empty(shape, dtype=dtype)
    try:
        with TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), size)
            mapped: NDArray[Any] = np.memmap(file, dtype=np.dtype(dtype), mode="r+", shape=shape)
            return np.asarray(mapped)
    except OSError:
        return np.empty(shape, dtype=dtype)


def _reserve(descriptor: int, size: int) -> None:
    """Take the disk's blocks now: a write to a mapped file for which there are none left ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
