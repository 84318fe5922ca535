"""What every table offers: its columns at once, its rows when asked for."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 20_000_000  # more rows than this fill the memory with positions alone

WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "pos_tags", "chunk_tags", "upos", "labels")
"""Usual names of the columns that hold lists of words, and of their tags."""

Row = Mapping[str, Any]


@dataclass
class Scan:
    """All rows of a table: `values` of the wanted columns, lazy `rows`, where they are, and what could not be read.

    spans: `(n_rows, 2)` byte offsets of the rows in the file, where the format has them. faults: (row, reason).
    """

    values: dict[str, list[Any]]
    rows: Sequence[Row]
    row_numbers: NDArray[np.int64]
    faults: list[tuple[int, str]] = field(default_factory=list)
    spans: NDArray[np.int64] | None = None


class Table(Protocol):
    """A table whose columns are known at once and whose rows are read by `scan`."""

    name: str
    format: str
    columns: tuple[str, ...]
    notes: list[str]
    class_names: dict[str, tuple[str, ...]]

    def scan(self, wanted: Sequence[str]) -> Scan:
        """Read every row once; keep the values of the wanted columns."""
        ...


class RowCollector:
    """Gathers a scan row by row: the values of the wanted columns, the rows' places and what is wrong with others."""

    def __init__(self, wanted: Sequence[str]):
        self.values: dict[str, list[Any]] = {name: [] for name in wanted}
        self.faults: list[tuple[int, str]] = []
        # Numbers and no objects: of ten million rows these are 0.2 GB and not 1.5.
        self._spans = array("q")
        self._numbers = array("q")

    def add(self, row: int, span: tuple[int, int], values: Sequence[Any]) -> None:
        """Add one row; `values` in the order of the wanted columns."""
        for column, value in zip(self.values.values(), values, strict=True):
            column.append(value)
        self._spans.extend(span)
        self._numbers.append(row)

    @property
    def spans(self) -> NDArray[np.int64]:
        """Byte offsets of the rows, `(n_rows, 2)`."""
        return np.array(self._spans, dtype=np.int64).reshape(-1, 2)

    def scan(self, rows: Sequence[Row], spans: NDArray[np.int64]) -> Scan:
        """Return what was gathered."""
        return Scan(self.values, rows, np.array(self._numbers, dtype=np.int64), self.faults, spans)


def label_text(value: Any) -> str | None:
    """Return a label as a class name: as written; None where it is missing; a whole float without its point;
    several as a list in JSON.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (list, tuple)):
        return json.dumps(list(map(str, value)), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def value_text(value: Any) -> str:
    """Return a table's value as text, as written where it was text; empty where it is missing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else label_text(value) or ""
