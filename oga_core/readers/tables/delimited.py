"""CSV and TSV files as lazy rows: one checking pass finds the rows, each is parsed again when asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.columns import check_header
from oga_core.readers.tables.content import Content, LazyRows, decode
from oga_core.readers.tables.table import MAX_ROWS, Row, RowCollector, Scan

MAX_FIELD_CHARACTERS = 1_000_000  # an open quotation mark swallows the rest of the file; no real field is so long
DELIMITERS = {"csv": ",", "tsv": "\t", "semicolon": ";"}
_SEPARATOR_NAMES = {"csv": "commas", "tsv": "tabs", "semicolon": "semicolons"}


class DelimitedTable:
    """A CSV or TSV file in UTF-8. The separator is the extension's, unless the header plainly has another one."""

    def __init__(self, source: Path | bytes, name: str):
        self.name = name
        self.notes: list[str] = []
        self.class_names: dict[str, tuple[str, ...]] = {}
        self.content = Content(source)
        self.quoting: Any = csv.QUOTE_MINIMAL
        first = next((line for _, line in self.content.lines(name) if line.strip()), b"")
        self.format = _separator_by_header(name, decode(first, name, 1))
        if self.format != _extension_format(name):
            self.notes.append(f"{name} is separated by {_SEPARATOR_NAMES[self.format]}, as its first line shows.")
        if self.format == "tsv" and self._quotes_are_plain():
            self.quoting = csv.QUOTE_NONE
            self.notes.append(f"Quotation marks in {name} are read as ordinary characters.")
        header = next(self.records(), None)
        if header is None:
            raise OgaError(f"{name} is empty. Give a file with a header line and at least one row.")
        self.columns = tuple(header[2])
        check_header(name, self.columns)

    def scan(self, wanted: Sequence[str]) -> Scan:
        """Read every row once; keep the values of the wanted columns."""
        positions = [self.columns.index(name) for name in wanted]
        collector = RowCollector(wanted)
        records = self.records()
        next(records)
        for row, (line, span, fields) in enumerate(records):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} rows, the most that is read. Split it.")
            if len(fields) == len(self.columns):
                collector.add(row, span, [fields[position] for position in positions])
            else:
                fault = f"line {line} has {len(fields)} fields, the header has {len(self.columns)}"
                collector.faults.append((row, fault))
        spans = collector.spans
        return collector.scan(self.rows_at(spans), spans)

    def rows_at(self, spans: NDArray[np.int64]) -> LazyRows:
        """The rows at byte offsets `(n_rows, 2)`."""
        return LazyRows(self.content, spans, self._parse, is_plain=True)

    def _parse(self, data: bytes) -> Row:
        text = data.decode("utf-8-sig")
        return dict(zip(self.columns, next(self.reader(io.StringIO(text, newline=""))), strict=True))

    def reader(self, lines: Any) -> Any:
        """Return what parses lines of the file."""
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        return csv.reader(lines, delimiter=DELIMITERS[self.format], quoting=self.quoting, strict=True)

    def records(self) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
        """Yield (line number, byte span, fields) of every record that is not blank."""
        lines = _Lines(self.content.lines(self.name), self.name)
        reader = self.reader(lines)
        while True:
            start = lines.end
            line = lines.number + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise OgaError(_csv_fault(self.name, line, str(error))) from None
            if fields:
                yield line, (start, lines.end), fields

    def _quotes_are_plain(self) -> bool:
        """Whether only reading quotation marks as ordinary characters gives every row as many fields as the header."""
        if not any(b'"' in line for _, line in self.content.lines(self.name)):
            return False
        try:
            counts = {len(fields) for _, _, fields in self.records()}
        except OgaError:
            counts = set()
        if len(counts) == 1:
            return False
        plain = {line.count(b"\t") for _, line in self.content.lines(self.name) if line.strip()}
        return len(plain) == 1


class _Lines:
    """Decoded lines for the csv module, counting lines and bytes as they are taken."""

    def __init__(self, lines: Iterator[tuple[int, bytes]], name: str):
        self._lines = lines
        self._name = name
        self.number = 0
        self.end = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        offset, line = next(self._lines)
        self.number += 1
        self.end = offset + len(line)
        return decode(line, self._name, self.number)


def _extension_format(name: str) -> str:
    return "tsv" if name.casefold().endswith((".tsv", ".tab")) else "csv"


def _separator_by_header(name: str, header: str) -> str:
    usual = _extension_format(name)
    if DELIMITERS[usual] in header:
        return usual
    return next((other for other, mark in DELIMITERS.items() if mark in header), usual)


def _csv_fault(name: str, line: int, error: str) -> str:
    if "field larger than field limit" in error:
        return (
            f"A field that begins on line {line} of {name} is longer than {MAX_FIELD_CHARACTERS:,} characters. "
            "Is a quotation mark left open there? Close it, or shorten the field."
        )
    if "unexpected end of data" in error:
        return f"A quotation mark on line {line} of {name} is never closed. Close it, or double it if it is text."
    if "new-line character" in error:
        return f"Line {line} of {name} ends in a bare carriage return. Save the file with ordinary line ends."
    return f"Line {line} of {name} is not valid CSV: {error}. Double quotation marks that belong to the text."
