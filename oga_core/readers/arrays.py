"""NumPy files: images or features with labels, never with pickled objects."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.archives import Archive, Zip
from oga_core.readers.assembly import Draft, ReadOptions, label_text
from oga_core.readers.columns import choose, missing, some
from oga_core.readers.image_data import MAX_PIXELS, array_image
from oga_core.readers.images import open_text_table
from oga_core.samples import Source

AnyArray = NDArray[Any]
DATA_NAMES = ("X", "x", "images", "data", "features")
LABEL_NAMES = ("y", "Y", "labels", "label", "targets", "target")
ID_NAMES = ("ids", "id", "sample_ids", "sample_id")
CLASS_NAMES = ("classes", "class_names", "target_names")
FEATURE_NAMES = ("feature_names", "columns")
_HEAD_BYTES = 16_384


class NpzArrays(Mapping[str, AnyArray]):
    """The arrays of an `.npz`, each read when asked for, after its header was checked against its size."""

    def __init__(self, path: Path):
        self.name = path.name
        self._archive: Archive = Zip(path)
        self._members = {name.removesuffix(".npy"): name for name in self._archive.names if name.endswith(".npy")}

    def __iter__(self) -> Any:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: str) -> AnyArray:
        member = self._members[key]
        head = self._archive.head(member, _HEAD_BYTES)
        shape, fortran, dtype, offset = _header(head, f"{member} in {self.name}", self._archive.sizes[member])
        data = self._archive.read(member)
        return np.frombuffer(data, dtype, offset=offset).reshape(shape, order="F" if fortran else "C")

    def find(self, names: Sequence[str]) -> str | None:
        """Return the first of the names that is there."""
        return next((name for name in names if name in self._members), None)


def read_npy(path: Path) -> AnyArray:
    """Memory-map one `.npy` file after its header was checked."""
    with path.open("rb") as file:
        shape, fortran, dtype, offset = _header(file.read(_HEAD_BYTES), path.name, path.stat().st_size)
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def read_npz(arrays: NpzArrays, path: Path, options: ReadOptions) -> Draft:
    """Read X and y (and ids) of an `.npz`."""
    key = arrays.find(DATA_NAMES)
    if key is None:
        raise OgaError(
            f"{path.name} has no array named {some(DATA_NAMES)}; it has {some(sorted(arrays))}. "
            "Save it as np.savez(path, X=…, y=…), or as an outputs bundle with features, logits and labels."
        )
    label_key = arrays.find(LABEL_NAMES) if options.label_column is None else options.label_column
    if label_key is not None and label_key not in arrays:
        raise missing("label", sorted(arrays), path.name, label_key)
    id_key = arrays.find(ID_NAMES) if options.id_column is None else options.id_column
    if id_key is not None and id_key not in arrays:
        raise missing("id", sorted(arrays), path.name, id_key)
    labels = (
        labels_beside(options) if options.labels else label_list(arrays[label_key], path.name) if label_key else None
    )
    class_key, feature_key = arrays.find(CLASS_NAMES), arrays.find(FEATURE_NAMES)
    class_names = [str(name) for name in arrays[class_key].tolist()] if class_key else None
    features = [str(name) for name in arrays[feature_key].tolist()] if feature_key else None
    ids = [str(value) for value in arrays[id_key].tolist()] if id_key else None
    roles = {"data": key, "label": label_key, "id": id_key}
    source = Source(path, "npz", options.labels, {role: name for role, name in roles.items() if name})
    return _draft(arrays[key], labels, ids, class_names, features, source, options)


def read_npy_samples(path: Path, options: ReadOptions) -> Draft:
    """Read one array of images or features, with labels given beside it."""
    if options.labels is None:
        raise OgaError(f"{path.name} holds one array without labels. Give them with --labels (a .npy or .csv file).")
    labels = labels_beside(options)
    return _draft(read_npy(path), labels, None, None, None, Source(path, "npy", options.labels), options)


def labels_beside(options: ReadOptions) -> list[str | None]:
    """Read labels, in the data's order, from a `.npy` or a table."""
    assert options.labels is not None
    if options.labels.suffix.casefold() == ".npy":
        return label_list(read_npy(options.labels), options.labels.name)
    table = open_text_table(options.labels, options.labels.name)
    column = choose("label", table.columns, options.label_column, table.name)
    if column is None and len(table.columns) == 1:
        column = table.columns[0]
    if column is None:
        raise missing("label", table.columns, table.name)
    scan = table.scan([column])
    if scan.faults:
        raise OgaError(
            f"{table.name}: {scan.faults[0][1]}. Every row must be readable, since rows are matched by order."
        )
    return [label_text(value) for value in scan.values[column]]


def label_list(labels: AnyArray, name: str) -> list[str | None]:
    """Turn an array of labels, or of one-hot rows, into class names."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise OgaError(f"The labels in {name} must have one dimension. Got the shape {labels.shape} instead.")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    return [label_text(value) for value in labels.tolist()]


def _draft(
    data: AnyArray,
    labels: list[str | None] | None,
    ids: list[str] | None,
    class_names: list[str] | None,
    features: list[str] | None,
    source: Source,
    options: ReadOptions,
) -> Draft:
    name = source.path.name
    n_samples = len(data) if data.ndim else 0
    if labels is None:
        raise OgaError(f"{name} has no labels. Save them as an array named 'y', or give them with --labels.")
    for what, values in (("labels", labels), ("ids", ids)):
        if values is not None and len(values) != n_samples:
            raise OgaError(f"{name} has {n_samples:,} samples but {len(values):,} {what}. They must be equally many.")
    notes: list[str] = []
    is_image = options.modality == "image" or (options.modality is None and data.ndim in (3, 4))
    labels = _named(labels, class_names)
    if is_image:
        inputs: Sequence[Any] = ArrayImages(_image_array(data, name, notes))
    elif data.ndim == 2:
        inputs = ArrayRows(data, features)
    else:
        raise OgaError(f"The data in {name} must be (samples, features) or images. Got the shape {data.shape} instead.")
    known = class_names if class_names and {label for label in labels if label} <= set(class_names) else None
    return Draft(
        ids=ids if ids is not None else list(map(str, range(n_samples))),
        labels=labels,
        inputs=inputs,
        rows=LabelledRows(inputs, labels, ids, is_image),
        modality="image" if is_image else "tabular",
        source=source,
        class_names=known,
        notes=notes,
    )


class ArrayImages(Sequence[Any]):
    """Images out of one array `(n, height, width[, 1 | 3 | 4])`."""

    def __init__(self, pixels: AnyArray):
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, i: Any) -> Any:
        return array_image(self._pixels[i])


class ArrayRows(Sequence[Any]):
    """Rows of a feature matrix as a table's rows: column name to value as text."""

    def __init__(self, data: AnyArray, names: Sequence[str] | None):
        self._data = data
        width = data.shape[1]
        self.names = list(names) if names is not None and len(names) == width else [f"x{i}" for i in range(width)]

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: Any) -> Any:
        return dict(zip(self.names, map(str, self._data[i].tolist()), strict=True))


class LabelledRows(Sequence[Any]):
    """What a person sees of a row of arrays: its id, its label, and its features where it has any."""

    def __init__(self, inputs: Sequence[Any], labels: Sequence[str | None], ids: Sequence[str] | None, is_image: bool):
        self._inputs, self._labels, self._ids, self._is_image = inputs, labels, ids, is_image

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, i: Any) -> Any:
        row = {} if self._ids is None else {"id": self._ids[i]}
        return {**row, **({} if self._is_image else self._inputs[i]), "label": self._labels[i]}


def _named(labels: list[str | None], class_names: list[str] | None) -> list[str | None]:
    """Replace numbers by the class names that the file states."""
    used = {label for label in labels if label}
    if class_names is None or used <= set(class_names):
        return labels
    if all(label.isdecimal() and int(label) < len(class_names) for label in used):
        return [class_names[int(label)] if label else None for label in labels]
    return labels


def _image_array(data: AnyArray, name: str, notes: list[str]) -> AnyArray:
    """Check images of shape (n, height, width[, channels]) and bring channels last and pixels into a known range."""
    if data.ndim == 4 and data.shape[3] not in (1, 3, 4) and data.shape[1] in (1, 3, 4):
        notes.append("Channels come first in the array; they were read so.")
        data = data.transpose(0, 2, 3, 1)
    if data.ndim not in (3, 4) or (data.ndim == 4 and data.shape[3] not in (1, 3, 4)):
        raise OgaError(f"Images in {name} must be (n, height, width[, 1, 3 or 4 channels]). Got {data.shape} instead.")
    if not 0 < data.shape[1] * data.shape[2] <= MAX_PIXELS:
        raise OgaError(f"Images in {name} have {data.shape[1]} × {data.shape[2]} pixels; 1 to {MAX_PIXELS:,} are read.")
    if data.dtype == np.uint8 or len(data) == 0:
        return data
    if data.dtype.kind not in "fiub":
        raise OgaError(f"Images in {name} must be numbers. Got the type {data.dtype} instead.")
    low, high = float(data.min()), float(data.max())
    if data.dtype.kind in "iu" and low >= 0 and high <= 255:
        return data.astype(np.uint8)
    if not (low >= 0 and high <= 1):
        raise OgaError(f"Pixels in {name} must be 0 to 255 (uint8) or 0.0 to 1.0. Got {low:g} to {high:g} instead.")
    notes.append("Pixels between 0.0 and 1.0 were rounded to 8 bits.")
    return data


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
