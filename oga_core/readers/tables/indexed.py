"""Rows of a table whose places are known from when it was scored: any is shown without reading those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.readers.assembly import ReadOptions, data_fingerprint
from oga_core.readers.table_data import read_table
from oga_core.readers.tables import open_text_table
from oga_core.readers.tables.content import MappedRows
from oga_core.readers.tables.delimited import DelimitedTable
from oga_core.readers.tables.json_rows import JsonLinesTable
from oga_core.readers.tables.table import Scan
from oga_core.samples import Modality, SampleSet, Source, Subset


@dataclass(frozen=True, eq=False)
class SeenRows:
    """What can be seen of samples, lazy as in a `SampleSet`, without the ids and labels that only reading all tells."""

    inputs: Sequence[Any]
    rows: Sequence[Mapping[str, Any]]
    modality: Modality
    source: Source
    fingerprint: str

    def __len__(self) -> int:
        return len(self.rows)


class _IndexedTable:
    """A table of text whose rows lie at `spans`; scanning it reads nothing and gives no values."""

    def __init__(self, table: DelimitedTable | JsonLinesTable, spans: NDArray[np.int64]):
        self.name = table.name
        self.format = table.format
        self.columns = table.columns
        self.notes = table.notes
        self.class_names = table.class_names
        self._rows = table.rows_at(spans)

    def scan(self, wanted: Sequence[str]) -> Scan:
        return Scan({name: [] for name in wanted}, self._rows, np.zeros(0, dtype=np.int64))


def places(samples: SampleSet) -> NDArray[np.int64] | None:
    """Byte offsets of the samples' rows in their file, `(n_samples, 2)`, None where they are not rows of a text."""
    rows = samples.rows
    base, chosen = (rows.base, rows.indices) if isinstance(rows, Subset) else (rows, slice(None))
    spans: NDArray[np.int64] | None = getattr(base, "spans", None)
    return None if spans is None or samples.source.labels_path is not None else spans[chosen]


def seen_rows(path: Path, spans: NDArray[np.int64], options: Mapping[str, Any]) -> SeenRows | None:
    """Return the rows at `spans` of the table at `path`, read with the options of `read_samples`; None of no text."""
    how = ReadOptions(**options)
    table = open_text_table(path)
    if how.labels is not None or not isinstance(table, DelimitedTable | JsonLinesTable):
        return None
    draft = read_table(_IndexedTable(table, spans), path, how, None)
    return SeenRows(draft.inputs, draft.rows, draft.modality, draft.source, data_fingerprint(path, how))


def seen_labels(
    path: Path,
    id_of: Callable[[int], str],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    options: Mapping[str, Any],
) -> SeenRows:
    """Return what can be seen of the outputs at `path`, which are not read: ids, and labels as names.

    id_of: the id of a row. labels: `(n_samples,)` indices into `classes`, -1 where there is none.
    """
    names = [*classes, None]
    rows = MappedRows(range(len(labels)), lambda row: {"id": id_of(row), "label": names[labels[row]]})
    return SeenRows(rows, rows, "outputs", Source(path, "outputs"), data_fingerprint(path, ReadOptions(**options)))
