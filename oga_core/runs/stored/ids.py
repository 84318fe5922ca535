"""The ids of a run's samples: which stands where, and where one stands, without an object for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oga_core.numerics import Indices

_REMEMBERED = 100_000
"""Ids whose row is kept once it was asked for: many more than pages show, and a few megabytes."""
_AT_ONCE = 65_536
"""Ids that become objects together where all are looked at."""


class SampleIds:
    """Ids in the data's order, as one Arrow column: 15 bytes each at ten million, where objects in a dict take 150.

    A row is found by a look through the column, 20 ms a million, for as many ids as are asked for together; those of
    samples that were shown are remembered.
    """

    def __init__(self, column: pa.ChunkedArray):
        self._column = one_array(column.cast(pa.large_string()))
        self._row_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[np.object_]: ...
    def __getitem__(self, rows: int | np.integer[Any] | slice | NDArray[Any]) -> str | NDArray[np.object_]:
        if isinstance(rows, int | np.integer):
            row = range(len(self))[int(rows)]
            sample_id: str = self._column[row].as_py()
            self._remember(sample_id, row)
            return sample_id
        if isinstance(rows, slice):
            return _objects(self._column.take(np.arange(len(self))[rows]))
        return _objects(self._column.filter(rows) if rows.dtype == bool else self._column.take(rows))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self._column.slice(start, _AT_ONCE).to_pylist()

    def __contains__(self, sample_id: object) -> bool:
        return isinstance(sample_id, str) and self.get(sample_id) is not None

    def row(self, sample_id: str) -> int:
        """Where a sample stands; raises `KeyError` where there is none of the id."""
        row = self.get(sample_id)
        if row is None:
            raise KeyError(sample_id)
        return row

    def get(self, sample_id: str) -> int | None:
        """Where a sample stands, None where there is none of the id."""
        row = int(self.rows([sample_id])[0])
        return None if row < 0 else row

    def rows(self, sample_ids: Iterable[str]) -> Indices:
        """Where each of some samples stands, `(n_ids,)`, -1 where there is none of the id."""
        wanted = list(sample_ids)
        missing = [name for name in dict.fromkeys(wanted) if name not in self._row_of and _is_text(name)]
        found: dict[str, int] = {}
        if missing:
            places = pc.index_in(self._column, value_set=pa.array(missing, pa.large_string()))
            hits = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
            for row, place in zip(hits.tolist(), places.take(hits).to_pylist(), strict=True):
                found[missing[place]] = row
                self._remember(missing[place], row)
        return np.array([self._row_of.get(name, found.get(name, -1)) for name in wanted], dtype=np.int64)

    def containing(self, part: str) -> NDArray[np.bool_]:
        """Which ids hold a text, whatever its case, `(n_samples,)`."""
        has_case = part.lower() != part.upper()
        column = pc.utf8_lower(self._column) if has_case else self._column
        holds: NDArray[np.bool_] = pc.match_substring(column, part.lower()).to_numpy(zero_copy_only=False)
        return holds

    def repeated(self) -> str | None:
        """An id that stands more than once, None where each stands once.

        Most sets rise, as names or as numbers, which a look through them tells; else they are counted.
        """
        if _rises(self._column) or _rises(_whole_numbers(self._column)):
            return None
        if pc.count_distinct(self._column).as_py() == len(self):
            return None
        counts = self._column.value_counts()
        name: str = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0].as_py()
        return name

    def _remember(self, sample_id: str, row: int) -> None:
        if len(self._row_of) >= _REMEMBERED:
            self._row_of = {}
        self._row_of[sample_id] = row


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, which is a copy where it was in parts."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _objects(column: pa.Array) -> NDArray[np.object_]:
    objects: NDArray[np.object_] = column.to_numpy(zero_copy_only=False)
    return objects


def _is_text(name: str) -> bool:
    """Whether a text can be written down: half of a character, which a browser may send, is no sample's id."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rises(column: pa.Array | None) -> bool:
    if column is None:
        return False
    return bool(pc.all(pc.less(column.slice(0, max(len(column) - 1, 0)), column.slice(1)), min_count=0).as_py())


def _whole_numbers(column: pa.Array) -> pa.Array | None:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
