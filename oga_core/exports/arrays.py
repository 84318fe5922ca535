"""Change labels and leave out rows of NumPy arrays; every other array stays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.archives import open_archive
from oga_core.readers.npy import CLASS_NAMES, NpzArrays, read_npy
from oga_core.review.edits import Edits
from oga_core.samples import Source

# Lists about the whole set, also where one happens to be as long as the data.
_NOT_PER_ROW = frozenset({*CLASS_NAMES, "feature_names"})


def write_edited_npz(source: Source, file: IO[bytes], edits: Edits) -> None:
    """Write an `.npz` with the edits of its rows, packed as it was."""
    arrays = NpzArrays(open_archive(source.path))
    n_samples = len(arrays[source.columns["data"]])
    rows = _remaining_rows(n_samples, edits)
    label_key = None if source.labels_path else source.columns.get("label")
    per_row = {name for name in arrays if arrays[name].ndim and len(arrays[name]) == n_samples}
    per_row -= _NOT_PER_ROW - set(source.columns.values())
    result = {}
    for name in arrays:
        array = arrays[name]
        if name == label_key:
            array = edited_labels(array, edits, arrays.texts(arrays.first(CLASS_NAMES)))
        result[name] = array[rows] if name in per_row else array
    with zipfile.ZipFile(source.path) as archive:
        is_packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    (np.savez_compressed if is_packed else np.savez)(file, allow_pickle=False, **result)


def edited_npz(source: Source, edits: Edits) -> bytes:
    """Return the bytes of an `.npz` with the edits of its rows."""
    file = io.BytesIO()
    write_edited_npz(source, file, edits)
    return file.getvalue()


def edited_npy(path: Path, edits: Edits) -> bytes:
    """Return a `.npy` of data without the rows that were removed."""
    return _without_removed(read_npy(path), edits)


def edited_label_file(path: Path, edits: Edits) -> bytes:
    """Return a `.npy` of labels with the edits of its rows."""
    return _without_removed(edited_labels(read_npy(path), edits, None), edits)


def edited_labels(labels: NDArray[Any], edits: Edits, class_names: Sequence[str] | None) -> NDArray[Any]:
    """Change labels in their own type: numbers stay numbers, texts grow where they must."""
    flat = labels.reshape(-1).tolist()
    for row, label in edits.label_of_row.items():
        if labels.dtype.kind in "USO":
            flat[row] = label if labels.dtype.kind == "U" else label.encode()
        elif class_names is not None and label in class_names:
            flat[row] = class_names.index(label)
        else:
            flat[row] = _number(label)
    kind = labels.dtype if labels.dtype.kind not in "US" else None
    return np.array(flat, dtype=kind).reshape(labels.shape)


def _number(label: str) -> float:
    try:
        return int(label) if label.lstrip("-").isdecimal() else float(label)
    except ValueError:
        raise OgaError(
            f"The labels of the data are numbers, and the new label {label!r} is none. Export a table instead."
        ) from None


def _without_removed(array: NDArray[Any], edits: Edits) -> bytes:
    file = io.BytesIO()
    np.save(file, array[_remaining_rows(len(array), edits)], allow_pickle=False)
    return file.getvalue()


def _remaining_rows(n_rows: int, edits: Edits) -> NDArray[np.int64]:
    return np.array([row for row in range(n_rows) if row not in edits.removed_rows], dtype=np.int64)
