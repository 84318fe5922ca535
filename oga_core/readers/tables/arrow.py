"""Parquet and Arrow files, read in batches; nothing outside the data is opened."""

from __future__ import annotations

import bisect
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers.columns import USUAL_NAMES, check_header
from oga_core.readers.tables.table import MAX_ROWS, Row, Scan

MAX_COLUMN_BYTES = 2 << 30  # what is decoded must fit in the memory beside a model
MAX_GROUP_BYTES = 2 << 30
CACHED_BYTES = 1 << 30  # half of what a group may take: a pass in order decodes each group once
_BATCH_ROWS = 1_024  # few, so that one batch of a bomb stays small
_IMAGE_BATCH_ROWS = 64  # the same for rows that hold whole pictures
_DAMAGE = (pa.ArrowException, OSError, MemoryError, ValueError)


class ParquetTable:
    """A Parquet file; wanted columns are read at once in batches, whole rows by row group when asked for."""

    format = "parquet"

    def __init__(self, path: Path | str):
        path = Path(path)
        self.name = path.name
        self.notes: list[str] = []
        try:
            self.file = pq.ParquetFile(path)
            schema = self.file.schema_arrow
        except _DAMAGE as error:
            raise damaged(self.name, error) from None
        if self.file.metadata.num_rows > MAX_ROWS:
            raise _too_many_rows(self.name, self.file.metadata.num_rows)
        self.columns, self.class_names, self.image_column = _describe(schema, self.name)
        self.schema = schema

    def scan(self, wanted: Sequence[str]) -> Scan:
        values: dict[str, list[Any]] = {name: [] for name in wanted}
        for batch in self.batches(wanted) if wanted else ():
            _collect(batch, values, self.name)
        rows = _RowGroups(self.file, self.name, _IMAGE_BATCH_ROWS if self.image_column else _BATCH_ROWS)
        if any(len(column) != len(rows) for column in values.values()):
            raise OgaError(f"{self.name} is damaged: its columns differ in length. Write it again.")
        return Scan(values, rows, np.arange(len(rows)))

    def batches(self, columns: Sequence[str], row_groups: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield batches of some columns, of all row groups or some; refuses more bytes than a real column has."""
        total = 0
        try:
            for batch in self.file.iter_batches(_BATCH_ROWS, row_groups, list(columns)):
                total += batch.nbytes
                if total > MAX_COLUMN_BYTES:
                    raise _too_many_bytes(self.name)
                yield batch
        except _DAMAGE as error:
            raise damaged(self.name, error) from None


class ArrowTable:
    """The record batches of a `save_to_disk` folder or of one Arrow file, memory-mapped where they are a file."""

    format = "arrow"

    def __init__(self, sources: Sequence[tuple[str, Any]], name: str):
        self.name = name
        self.notes: list[str] = []
        self._batches: list[pa.RecordBatch] = []
        self._n_rows = 0
        schemas = []
        for file, source in sources:
            try:
                schemas.append(self._load(source))
            except _DAMAGE as error:
                raise damaged(file, error) from None
        if not schemas or any(not schema.equals(schemas[0]) for schema in schemas):
            raise OgaError(f"The Arrow files of {name} do not have the same columns. Save the data set again.")
        self.schema = schemas[0]
        self.columns, self.class_names, self.image_column = _describe(self.schema, name)

    def _load(self, source: Any) -> pa.Schema:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
        for batch in batches:
            batch.validate(full=True)
            self._batches.append(batch)
            self._n_rows += len(batch)
            if self._n_rows > MAX_ROWS or len(self._batches) > MAX_ROWS:
                raise _too_many_rows(self.name, self._n_rows)
        return reader.schema

    def scan(self, wanted: Sequence[str]) -> Scan:
        values: dict[str, list[Any]] = {name: [] for name in wanted}
        for batch in self._batches:
            _collect(batch, values, self.name)
        rows = _Batches(self._batches)
        return Scan(values, rows, np.arange(len(rows)))


class _Batches(Sequence[Any]):
    """Rows of record batches in memory or memory-mapped."""

    def __init__(self, batches: Sequence[pa.RecordBatch]):
        self._batches = batches
        self._ends = list(accumulate(map(len, batches)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, i: Any) -> Any:
        i = range(len(self))[i]
        which = bisect.bisect_right(self._ends, i)
        batch = self._batches[which]
        return _row(batch, i - (self._ends[which] - len(batch)))


class _RowGroups(Sequence[Any]):
    """Rows of a Parquet file; the row groups last used are kept decoded, up to 1 GiB. Thread-safe."""

    def __init__(self, file: pq.ParquetFile, name: str, batch_rows: int):
        self._file = file
        self._name = name
        self._lock = threading.Lock()
        self._batch_rows = batch_rows
        metadata = file.metadata
        self._ends = list(accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)))
        self._cache: OrderedDict[int, pa.RecordBatch] = OrderedDict()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, i: Any) -> Any:
        i = range(len(self))[i]
        group = bisect.bisect_right(self._ends, i)
        start = self._ends[group - 1] if group else 0
        with self._lock:
            batch = self._group(group)
        if i - start >= len(batch):
            raise UnreadableSample(f"{self._name} is shorter than it states")
        return _row(batch, i - start)

    def _group(self, group: int) -> pa.RecordBatch:
        if group not in self._cache:
            batch = self._decode(group)
            while self._cache and batch.nbytes + sum(other.nbytes for other in self._cache.values()) > CACHED_BYTES:
                self._cache.popitem(last=False)
            self._cache[group] = batch
        self._cache.move_to_end(group)
        return self._cache[group]

    def _decode(self, group: int) -> pa.RecordBatch:
        parts = []
        total = 0
        try:
            for batch in self._file.iter_batches(batch_size=self._batch_rows, row_groups=[group]):
                parts.append(batch)
                total += batch.nbytes
                if total > MAX_GROUP_BYTES:
                    raise _too_many_bytes(self._name)
            return pa.Table.from_batches(parts, self._file.schema_arrow).combine_chunks().to_batches()[0]
        except (*_DAMAGE, IndexError) as error:
            raise damaged(self._name, error) from None


def open_arrow_file(path: Path | str) -> ArrowTable:
    """Open one Arrow file (stream or file layout)."""
    name = Path(path).name
    return ArrowTable([(name, pa.memory_map(str(path)))], name)


def damaged(name: str, error: BaseException) -> OgaError:
    """Return the error for a file that pyarrow cannot read."""
    if isinstance(error, MemoryError):
        return OgaError(f"{name} takes more memory than is left. Use a machine with more, or smaller parts.")
    return OgaError(
        f"{name} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}. Write it again."
    )


def _describe(schema: pa.Schema, name: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], str | None]:
    """Return the columns, the names of `ClassLabel` columns, and the column of images."""
    columns = tuple(schema.names)
    check_header(name, columns)
    images = [field.name for field in schema if _holds_images(field)]
    return columns, class_labels(schema), images[0] if images else None


def _holds_images(field: pa.Field) -> bool:
    if pa.types.is_struct(field.type):
        return "bytes" in {child.name for child in field.type}
    is_binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    return is_binary and field.name.casefold() in (*USUAL_NAMES["image"], "img", "jpg", "png")


def class_labels(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of every `ClassLabel` column and list, from Hugging Face's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        features = {name: feature.get("feature", feature) for name, feature in features.items()}
        return {
            name: tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _collect(batch: pa.RecordBatch, values: dict[str, list[Any]], name: str) -> None:
    """Add the wanted columns of a batch to `values`."""
    try:
        for column in values:
            values[column] += _values(batch.column(column))
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise damaged(name, error) from None


def _values(column: pa.Array) -> list[Any]:
    """Turn a column into Python values; equal ones of a batch are one object, however large."""
    if not pa.types.is_dictionary(column.type):
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return column.to_pylist()
        column = column.dictionary_encode()
    words = column.dictionary.to_pylist()
    return [None if index is None else words[index] for index in column.indices.to_pylist()]


def _row(batch: pa.RecordBatch, i: int) -> Row:
    try:
        return {name: batch.column(k)[i].as_py() for k, name in enumerate(batch.schema.names)}
    except (ValueError, OverflowError) as error:
        raise UnreadableSample(f"a value cannot be read: {error}") from None


def _too_many_rows(name: str, n_rows: int) -> OgaError:
    return OgaError(f"{name} has {n_rows:,} rows; at most {MAX_ROWS:,} are read. Split it.")


def _too_many_bytes(name: str) -> OgaError:
    return OgaError(f"{name} grows too large when decoded. Write it in row groups of at most 10,000 rows, or split it.")
