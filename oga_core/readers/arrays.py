"""Arrays of images or features with labels, out of NumPy files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import missing, some
from oga_core.readers.image_data import MAX_PIXELS, array_image
from oga_core.readers.npy import CLASS_NAMES, ID_NAMES, LABEL_NAMES, AnyArray, NpzArrays, label_list, read_npy
from oga_core.samples import Source

DATA_NAMES = ("X", "x", "images", "data", "features")
FEATURE_NAMES = ("feature_names", "columns")

Labels = list[str | None]


@dataclass
class _Arrays:
    """What was read: the data, and what says more about its rows and columns, None where there is none."""

    data: AnyArray
    labels: Labels | None
    ids: list[str] | None = None
    class_names: list[str] | None = None
    features: list[str] | None = None


def read_npz(arrays: NpzArrays, path: Path, options: ReadOptions, labels: Labels | None) -> Draft:
    """Read X and y (and ids) of an `.npz`; `labels` are those given beside it, in its order."""
    key = arrays.first(DATA_NAMES)
    if key is None:
        raise OgaError(
            f"{path.name} has no array named {some(DATA_NAMES)}; it has {some(sorted(arrays))}. "
            "Save it as np.savez(path, X=…, y=…), or as an outputs bundle with features, logits and labels."
        )
    label_key = _key("label", arrays, LABEL_NAMES, options.label_column)
    id_key = _key("id", arrays, ID_NAMES, options.id_column)
    if labels is None and label_key is not None:
        labels = label_list(arrays[label_key], path.name)
    content = _Arrays(
        data=arrays[key],
        labels=labels,
        ids=arrays.texts(id_key),
        class_names=arrays.texts(arrays.first(CLASS_NAMES)),
        features=arrays.texts(arrays.first(FEATURE_NAMES)),
    )
    roles = {"data": key, "label": label_key, "id": id_key}
    source = Source(path, "npz", options.labels, {role: name for role, name in roles.items() if name})
    return _draft(content, source, options)


def read_npy_samples(path: Path, options: ReadOptions, labels: Labels | None) -> Draft:
    """Read one array of images or features, with the labels given beside it, in its order."""
    if labels is None:
        raise OgaError(f"{path.name} holds one array without labels. Give them with --labels (a .npy or .csv file).")
    return _draft(_Arrays(read_npy(path), labels), Source(path, "npy", options.labels), options)


def _key(role: str, arrays: NpzArrays, names: Sequence[str], name: str | None) -> str | None:
    """Return the name of the array that plays a role: the one asked for, else the first with a usual name."""
    if name is not None and name not in arrays:
        raise missing(role, sorted(arrays), arrays.name, name)
    return arrays.first(names) if name is None else name


def _draft(content: _Arrays, source: Source, options: ReadOptions) -> Draft:
    name = source.path.name
    if content.labels is None:
        raise OgaError(f"{name} has no labels. Save them as an array named 'y', or give them with --labels.")
    n_samples = len(content.data) if content.data.ndim else 0
    for what, values in (("labels", content.labels), ("ids", content.ids)):
        if values is not None and len(values) != n_samples:
            raise OgaError(f"{name} has {n_samples:,} samples but {len(values):,} {what}. They must be equally many.")
    notes: list[str] = []
    is_image = options.modality == "image" or (options.modality is None and content.data.ndim in (3, 4))
    inputs = _inputs(content, name, is_image, notes)
    labels = _named(content.labels, content.class_names)
    used = {label for label in labels if label}
    return Draft(
        ids=content.ids if content.ids is not None else list(map(str, range(n_samples))),
        labels=labels,
        inputs=inputs,
        rows=LabelledRows(inputs, labels, content.ids, is_image),
        modality="image" if is_image else "tabular",
        source=source,
        class_names=content.class_names if content.class_names and used <= set(content.class_names) else None,
        notes=notes,
    )


def _inputs(content: _Arrays, name: str, is_image: bool, notes: list[str]) -> Sequence[Any]:
    data = content.data
    if is_image:
        return ArrayImages(_image_array(data, name, notes))
    if data.ndim != 2:
        raise OgaError(f"The data in {name} must be (samples, features) or images. Got the shape {data.shape} instead.")
    return ArrayRows(data, content.features)


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
        self._inputs = inputs
        self._labels = labels
        self._ids = ids
        self._is_image = is_image

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
    low = float(data.min())
    high = float(data.max())
    if data.dtype.kind in "iu" and low >= 0 and high <= 255:
        return data.astype(np.uint8)
    if not (low >= 0 and high <= 1):
        raise OgaError(f"Pixels in {name} must be 0 to 255 (uint8) or 0.0 to 1.0. Got {low:g} to {high:g} instead.")
    notes.append("Pixels between 0.0 and 1.0 were rounded to 8 bits.")
    return data
