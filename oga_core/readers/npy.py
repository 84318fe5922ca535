"""NumPy files as arrays: a header is checked against the file's size, and pickled objects are refused."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import Archive
from oga_core.readers.tables.table import label_text

AnyArray = NDArray[Any]
LABEL_NAMES = ("y", "Y", "labels", "label", "targets", "target")
ID_NAMES = ("ids", "id", "sample_ids", "sample_id")
CLASS_NAMES = ("classes", "class_names", "target_names")
_HEAD_BYTES = 16_384  # NumPy itself refuses headers above 10,000


class NpzArrays(Mapping[str, AnyArray]):
    """The arrays of an `.npz`, each read, or mapped where it is large, when asked for; its header fits its size."""

    def __init__(self, archive: Archive):
        self.name = archive.path.name
        self._archive = archive
        self._members = {name.removesuffix(".npy"): name for name in archive.names if name.endswith(".npy")}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: str) -> AnyArray:
        member = self._members[key]
        head = self._archive.head(member, _HEAD_BYTES)
        shape, fortran, dtype, offset = _header(head, f"{member} in {self.name}", self._archive.sizes[member])
        order: Literal["F", "C"] = "F" if fortran else "C"
        begin = self._archive.mapped_from(member)
        if begin is not None:
            return np.memmap(self._archive.path, dtype, "r", begin + offset, shape, order)
        return np.frombuffer(self._archive.read(member), dtype, offset=offset).reshape(shape, order=order)

    def first(self, names: Sequence[str]) -> str | None:
        """Return the first of the names that is there."""
        return next((name for name in names if name in self._members), None)

    def texts(self, name: str | None) -> list[str] | None:
        """Return an array as texts, None where there is none of this name."""
        return [str(value) for value in self[name].reshape(-1).tolist()] if name else None


def read_npy(path: Path | str) -> AnyArray:
    """Memory-map one `.npy` file after its header was checked."""
    path = Path(path)
    with path.open("rb") as file:
        shape, fortran, dtype, offset = _header(file.read(_HEAD_BYTES), path.name, path.stat().st_size)
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def label_list(labels: AnyArray, name: str) -> list[str | None]:
    """Turn an array of labels, or a column of them, into class names."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise OgaError(f"The labels in {name} must have one dimension. Got the shape {labels.shape} instead.")
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError:
            raise OgaError(f"The labels in {name} are not UTF-8. Save them as np.array(labels, dtype=str).") from None
    values = labels.tolist()
    texts = {value: label_text(value) for value in set(values)}  # one object for each class, and not for each sample
    return [texts[value] for value in values]


def _header(head: bytes, name: str, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return (shape, fortran order, type, data offset) of a `.npy`; refuses objects and sizes that do not fit."""
    file = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy parses the header as Python, and damaged ones raise anything
        raise OgaError(f"{name} is not a readable NumPy array: {error}. Save it again.") from None
    if dtype.hasobject:
        raise OgaError(f"{name} holds Python objects, which can hide programs. Save it as np.array(labels, dtype=str).")
    if dtype.names is not None:
        raise OgaError(f"{name} has named fields. Save each field as an array of its own.")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize + file.tell() != size:
        raise OgaError(f"{name} states the shape {shape}, which does not fit its size. It is damaged: save it again.")
    return shape, fortran, dtype, file.tell()
