"""A Parquet file of the run folder by columns, each read when it is first asked for: a run of ten million opens so."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.numerics import Floats, Indices
from oga_core.runs.stored.ids import one_array

_PAGES = 8
"""Row groups whose texts are kept: a page of a grid asks for few, and one of a million reasons takes 0.1 GB."""
AGAIN = "Score the data again into a new folder."


class StoredColumns:
    """The columns of the file at `path`, one row a sample in the data's order; numbers and codes are kept once read.

    named: columns of few names, which are read as codes. decoded: columns that are mapped in place of being read, one
    array each. Raises `OgaError` where the file is damaged: at once, or when the column is read that is.
    """

    def __init__(
        self, path: Path, named: Sequence[str] | None = None, decoded: Mapping[str, pa.Array] = MappingProxyType({})
    ):
        self.path = path
        self._lock = threading.Lock()  # Arrow's reader of a file is for one thread at a time
        self._numbers: dict[str, Floats] = {}
        self._ahead: dict[str, pa.ChunkedArray] = {}
        self._encoded: dict[str, pa.DictionaryArray] = {}
        self._distinct: dict[str, tuple[str, ...]] = {}
        with self._damage():
            schema = pq.read_schema(path)
            texts = [name for name in schema.names if _is_text(schema.field(name).type)]
            coded = texts if named is None else [name for name in texts if name in named]
            self._file = pq.ParquetFile(path, read_dictionary=coded)
        self.names: tuple[str, ...] = tuple(schema.names)
        self._types = {name: schema.field(name).type for name in schema.names}
        groups = self._file.metadata
        sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self.decoded = {name: values for name, values in decoded.items() if self._is_like(name, values)}
        self._page = lru_cache(maxsize=_PAGES)(self._read_page)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def _is_like(self, name: str, values: pa.Array) -> bool:
        """Whether a decoded column can stand for the table's, or be an order of its rows."""
        kind = self._types.get(name)
        if kind is None:
            is_like = pa.types.is_int64(values.type)
        elif _is_number(kind):
            is_like = pa.types.is_floating(values.type)
        else:
            is_like = _is_text(values.type) or pa.types.is_dictionary(values.type)
        return bool(is_like and len(values) == len(self))

    def is_numeric(self, name: str) -> bool:
        """Whether a column holds numbers, or nothing at all."""
        kind = self._types[name]
        return _is_number(kind) or pa.types.is_null(kind) or self.column(name).null_count == len(self)

    def kind(self, name: str) -> str:
        """What a column holds, in Arrow's words."""
        return str(self._types[name])

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, read anew unless it is mapped."""
        if name in self.decoded:
            return pa.chunked_array([self.decoded[name]])
        if name in self._ahead:
            return self._ahead.pop(name)
        with self._lock, self._damage():
            return self._file.read([name]).column(0)

    def read_ahead(self, names: Iterable[str]) -> None:
        """Read columns that are about to be asked for together, on all processors; where that fails, each says so."""
        wanted = [name for name in names if name in self and name not in self.decoded]
        with suppress(OgaError), self._lock, self._damage():
            table = self._file.read(wanted)
            self._ahead = {name: table.column(name) for name in wanted}

    def numbers(self, name: str) -> Floats:
        """A column of numbers in the precision that it is stored in, `(n_samples,)`, NaN where one is missing."""
        if name not in self._numbers:
            column = self.column(name)
            is_real = pa.types.is_floating(column.type)
            self._numbers[name] = (column if is_real else column.cast(pa.float64())).to_numpy()
        return self._numbers[name]

    def places(self, name: str) -> Indices | None:
        """An order of all rows that is mapped, `(n_samples,)`, None where there is none."""
        if name not in self.decoded:
            return None
        places: Indices = self.decoded[name].to_numpy()
        return places if places.min() >= 0 and places.max() < len(self) else None

    def codes(self, name: str, names: Sequence[str], rows: Indices | None = None) -> Indices:
        """The place of the name of each of `rows`, or of all, among `names`; -1 where it is missing or another."""
        encoded = self.encoded(name)
        place = pc.index_in(encoded.dictionary, value_set=pa.array(names, pa.large_string())).fill_null(-1)
        places = np.append(place.to_numpy(zero_copy_only=False), -1).astype(np.int64)
        indices = encoded.indices if rows is None else encoded.indices.take(rows)
        return places[indices.fill_null(len(place)).to_numpy(zero_copy_only=False)]

    def distinct(self, name: str) -> tuple[str, ...]:
        """The names in a column, without those that are missing, sorted."""
        if name not in self._distinct:
            encoded = self.encoded(name)
            used = encoded.dictionary.take(pc.unique(encoded.indices).drop_null())
            self._distinct[name] = tuple(sorted(used.to_pylist()))
        return self._distinct[name]

    def texts(self, name: str) -> NDArray[np.object_]:
        """A whole column as text, `(n_samples,)`, empty where it is missing: objects, for runs that fit them."""
        column = self.column(name).cast(pa.large_string()).fill_null("")
        texts: NDArray[np.object_] = column.to_numpy()
        return texts

    def text(self, name: str, row: int) -> str:
        """One row of a column as text, empty where it is missing; its row group is read, not the column."""
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        value = self._page(name, group)[int(row - self._starts[group])].as_py()
        return "" if value is None or value != value else str(value)

    def _read_page(self, name: str, group: int) -> pa.ChunkedArray:
        with self._lock, self._damage():
            return self._file.read_row_group(group, [name]).column(0)

    def encoded(self, name: str) -> pa.DictionaryArray:
        """A column of few names as numbers and what they stand for."""
        if name not in self._encoded:
            column = self.column(name)
            if not pa.types.is_dictionary(column.type):
                column = column.cast(pa.large_string()).dictionary_encode()
            column = column.cast(pa.dictionary(pa.int32(), pa.large_string())).unify_dictionaries()
            self._encoded[name] = one_array(column)
        return self._encoded[name]

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Say what is wrong with the file in words."""
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
            raise damaged(self.path, error) from None


def damaged(path: Path, error: Exception) -> OgaError:
    """Return the error of a Parquet file that cannot be read."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return OgaError(f"{path} is damaged: {reason.rstrip('.')}. {AGAIN}")


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
