"""A run's columns decoded beside its table: opening ten million samples maps them, and neither decodes nor sorts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

FILE = "decoded.arrow"
MANY = 1_000_000
"""Samples from which a run keeps them: of fewer, columns are decoded and sorted within half a second."""
_TABLE = b"table"


def write_decoded(target: Path, table: Path, columns: Mapping[str, pa.Array]) -> None:
    """Write columns, `(n_samples,)` each, of the run's table at `table` as they lie in memory, to `target`."""
    schema = pa.schema({name: values.type for name, values in columns.items()}, metadata={_TABLE: _stamp(table)})
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))


def read_decoded(path: Path, table: Path) -> dict[str, pa.Array]:
    """Return the columns kept at `path`, mapped, by name; none where there are none, or of another table or damaged."""
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            if (file.schema.metadata or {}).get(_TABLE) != _stamp(table) or file.num_record_batches != 1:
                return {}
            batch = file.get_batch(0)
            batch.validate(full=True)  # a place outside of the file would end the process that follows it
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _stamp(table: Path) -> bytes:
    """What changes whenever the table is written again; a copy of it has another, and is decoded as it was before."""
    status = table.stat()
    return f"{status.st_size} {status.st_mtime_ns}".encode()
