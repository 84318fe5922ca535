"""A column of lists of numbers in a Parquet file as a matrix whose row groups are decoded when they are read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oga_core.errors import OgaError

if TYPE_CHECKING:
    from oga_core.readers.tables.arrow import ParquetTable


class ParquetMatrix:
    """`(n_rows, width)` float32; of what was decoded the last row group is kept. Thread-safe.

    Raises `OgaError` where the lists differ in length, or hold anything but numbers, when they are read.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, table: ParquetTable, name: str):
        self._table = table
        self._name = name
        self._lock = threading.Lock()
        metadata = table.file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._last: tuple[int, NDArray[np.float32]] | None = None
        first = next((group for group, size in enumerate(sizes) if size), None)
        self.shape = (int(self._starts[-1]), 0 if first is None else self._group(first).shape[1])

    @property
    def nbytes(self) -> int:
        """What all of it takes decoded."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        places = np.atleast_1d(np.arange(len(self))[rows])
        groups = np.searchsorted(self._starts, places, side="right") - 1
        result = np.empty((len(places), self.shape[1]), dtype=np.float32)
        for group in np.unique(groups).tolist():
            inside = groups == group
            result[inside] = self._group(group)[places[inside] - self._starts[group]]
        return result[0] if np.ndim(rows) == 0 and not isinstance(rows, slice) else result

    def _group(self, group: int) -> NDArray[np.float32]:
        with self._lock:
            if self._last is None or self._last[0] != group:
                batches = self._table.batches([self._name], row_groups=[group])
                blocks = [_block(batch.column(0), self._table.name, self._name) for batch in batches]
                widths = {block.shape[1] for block in blocks} | set(getattr(self, "shape", (0,))[1:])
                if len(widths) != 1:
                    raise _uneven(self._table.name, self._name)
                self._last = group, np.concatenate(blocks)
            return self._last[1]


def _block(column: Any, table: str, name: str) -> NDArray[np.float32]:
    """Return one batch of lists of numbers as rows of a matrix."""
    try:
        flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        lengths = np.unique(pc.list_value_length(column).to_numpy(zero_copy_only=False))
    except (AttributeError, ValueError, TypeError, pa.ArrowException):
        raise OgaError(f"The column {name!r} of {table} must hold lists of numbers.") from None
    if column.null_count or len(lengths) != 1:
        raise _uneven(table, name)
    return flat.reshape(len(column), -1)


def _uneven(table: str, name: str) -> OgaError:
    return OgaError(f"The lists in the column {name!r} of {table} must all have the same length.")
