"""The table of a run, written row group by row group: a copy of ten million rows of fifty columns is gigabytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oga_core.numerics import slices

GROUP_ROWS = 1 << 17
"""Rows of a group, of which all columns are in memory at once, some several times: 0.2 GB. Of the million that Arrow
and pandas take it is nearly 1 GB."""


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns, `(n_samples,)` each, as a Parquet file; missing numbers and texts as missing."""
    kinds = {
        name: pa.from_numpy_dtype(values.dtype) if _is_numeric(values) else _kind_of_text(values)
        for name, values in columns.items()
    }
    n_rows = len(next(iter(columns.values())))
    with _writer(path, pa.schema(list(kinds.items()))) as writer:
        for part in slices(n_rows, GROUP_ROWS):
            group = {
                name: _numbers(values[part]) if _is_numeric(values) else _text(values, part).cast(kinds[name])
                for name, values in columns.items()
            }
            writer.write_table(pa.table(group), row_group_size=GROUP_ROWS)


def replace_columns(path: Path, target: Path, columns: Mapping[str, Any]) -> None:
    """Write the Parquet file at `path` to `target`, with these columns of numbers, `(n_rows,)`, in place of its own."""
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow.remove_metadata()
        for name, values in columns.items():
            field = pa.field(name, pa.from_numpy_dtype(values.dtype))
            place = schema.get_field_index(name)
            schema = schema.append(field) if place < 0 else schema.set(place, field)
        start = 0
        with _writer(target, schema) as writer:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                stop = start + len(group)
                new = {name: _numbers(values[start:stop]) for name, values in columns.items()}
                arrays = [new[name] if name in new else group.column(name) for name in schema.names]
                writer.write_table(pa.table(arrays, schema=schema), row_group_size=GROUP_ROWS)
                start = stop


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Numbers, of which nearly all differ, are written as they are: a dictionary of them takes time and room."""
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return pq.ParquetWriter(path, schema, use_dictionary=texts or False)


def _is_numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiub"


def _numbers(values: Any) -> pa.Array:
    return pa.array(np.asarray(values), from_pandas=True)


def _text(values: Any, part: slice) -> pa.ChunkedArray:
    some = values.iloc[part] if isinstance(values, pd.Series) else values[part]
    return pa.Table.from_pandas(pd.DataFrame({"": some}), preserve_index=False).column(0)


def _kind_of_text(values: Any) -> pa.DataType:
    """The type of the first group in which anything is known."""
    kinds = (_text(values, part).type for part in slices(len(values), GROUP_ROWS))
    return next((kind for kind in kinds if not pa.types.is_null(kind)), pa.null())
