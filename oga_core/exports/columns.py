"""Change labels and leave out rows of Parquet and Arrow data; schema, metadata and other values stay."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from oga_core.errors import OgaError
from oga_core.readers.tables.arrow import class_labels
from oga_core.readers.tables.pointers import keys_of, replaced
from oga_core.review.edits import Edits, typed_label


def write_edited_parquet(source: Path, target: IO[bytes], label_column: str | None, edits: Edits) -> None:
    """Write a Parquet file again, row group by row group."""
    file = pq.ParquetFile(source)
    schema = file.schema_arrow
    metadata = file.metadata
    compression = metadata.row_group(0).column(0).compression if metadata.num_row_groups else "SNAPPY"
    row = 0
    with pq.ParquetWriter(target, schema, compression=compression.lower().replace("uncompressed", "none")) as writer:
        for group in range(metadata.num_row_groups):
            batches = []
            for batch in file.iter_batches(row_groups=[group]):
                batches.append(edited_batch(batch, schema, label_column, edits, row))
                row += len(batch)
            table = pa.Table.from_batches(batches, schema)
            if len(table):
                writer.write_table(table, row_group_size=len(table))


def edited_arrow(content: bytes, label_column: str | None, edits: Edits, row: int) -> tuple[bytes, int]:
    """Return an Arrow file or stream with the edits of its rows, which begin at `row`, and how many it had."""
    source = pa.BufferReader(content)
    is_file = content.startswith(b"ARROW1")
    reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
    batches = [reader.get_batch(i) for i in range(reader.num_record_batches)] if is_file else list(reader)
    sink = io.BytesIO()
    first = row
    with (pa.ipc.new_file if is_file else pa.ipc.new_stream)(sink, reader.schema) as writer:
        for batch in batches:
            edited = edited_batch(batch, reader.schema, label_column, edits, row)
            row += len(batch)
            if len(edited):
                writer.write_batch(edited)
    return sink.getvalue(), row - first


def edited_batch(
    batch: pa.RecordBatch, schema: pa.Schema, label_column: str | None, edits: Edits, first_row: int
) -> pa.RecordBatch:
    """Return a batch with the edits of its rows, which begin at `first_row`."""
    rows = range(first_row, first_row + len(batch))
    changes = [(i, edits.label_of_row[row]) for i, row in enumerate(rows) if row in edits.label_of_row]
    if changes and label_column is not None:
        place = schema.get_field_index(label_column)
        column = _with_labels(batch.column(place), changes, class_labels(schema).get(label_column), label_column)
        batch = batch.set_column(place, schema.field(place), column)
    new_values = [(i, edits.values_of_row[row]) for i, row in enumerate(rows) if row in edits.values_of_row]
    if new_values:
        batch = _with_values(batch, schema, new_values)
    keep = [row not in edits.removed_rows for row in rows]
    return batch if all(keep) else batch.filter(pa.array(keep, pa.bool_()))


def _with_values(
    batch: pa.RecordBatch, schema: pa.Schema, new_values: list[tuple[int, Mapping[str, Any]]]
) -> pa.RecordBatch:
    """Put new values into their places; `new_values` holds them by row of the batch."""
    columns: dict[str, list[Any]] = {}
    for i, values in new_values:
        for place, value in values.items():
            name, *keys = keys_of(place)
            column = columns.setdefault(name, batch.column(schema.get_field_index(name)).to_pylist())
            column[i] = replaced(column[i], keys, value)
    for name, column in columns.items():
        at = schema.get_field_index(name)
        batch = batch.set_column(at, schema.field(at), pa.array(column, schema.field(at).type))
    return batch


def _with_labels(
    column: pa.Array, changes: list[tuple[int, str]], names: tuple[str, ...] | None, name: str
) -> pa.Array:
    values: list[Any] = column.to_pylist()
    for i, label in changes:
        values[i] = names.index(label) if names is not None and label in names else typed_label(label, values[i])
    try:
        if pa.types.is_dictionary(column.type):
            return pa.array(values, column.type.value_type).dictionary_encode().cast(column.type)
        return pa.array(values, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        labels = sorted({label for _, label in changes})
        raise OgaError(
            f"The column {name!r} holds {column.type} and cannot hold the label(s) {labels}. Export a table instead."
        ) from None
