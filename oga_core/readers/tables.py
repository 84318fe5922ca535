"""CSV, TSV and JSON-lines files as lazy rows: one checking pass finds the rows, each is parsed again when asked for."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.assembly import text_fault
from oga_core.readers.columns import some
from oga_core.samples import UnreadableSample

MAX_FIELD_CHARACTERS = 1_000_000
MAX_LINE_BYTES = 16_000_000
MAX_ARRAY_BYTES = 512_000_000
MAX_ROWS = 20_000_000
MAX_INTEGER_DIGITS = 400
_PEEKED_ROWS = 200
_SPACE = re.compile(r"[ \t\n\r]*")
_ROW_DECODER = json.JSONDecoder(parse_int=str)
DELIMITERS = {"csv": ",", "tsv": "\t", "semicolon": ";"}

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


class Content:
    """The bytes of a file or of an archive's member, by offset; thread-safe."""

    def __init__(self, source: Path | bytes):
        self._source, self._lock = source, threading.Lock()
        self._file = self._open()

    def _open(self) -> io.BufferedReader | io.BytesIO:
        return io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source.open("rb")

    def __getitem__(self, span: slice) -> bytes:
        with self._lock:
            self._file.seek(span.start)
            return self._file.read(span.stop - span.start)

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield (byte offset, line with its end); refuses lines longer than any row should be."""
        offset = 0
        with self._open() as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise OgaError(
                        f"{name} has a line of more than {MAX_LINE_BYTES:,} bytes. Check that it has one row a line."
                    )
                yield offset, line
                offset += len(line)


class LazyRows(Sequence[Any]):
    """Rows parsed from their bytes when asked for; raises `UnreadableSample` where the file has changed since."""

    def __init__(self, content: Content, spans: NDArray[np.int64], parse: Any):
        self._content, self._spans, self._parse = content, spans, parse

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, i: Any) -> Any:
        start, stop = self._spans[i].tolist()
        try:
            return self._parse(self._content[start:stop])
        except (ValueError, csv.Error, StopIteration, RecursionError):
            raise UnreadableSample("the file has changed since it was opened") from None


class DelimitedTable:
    """A CSV or TSV file in UTF-8. The separator is the extension's, unless the header plainly has another one."""

    def __init__(self, source: Path | bytes, name: str):
        self.name, self.notes = name, list[str]()
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
        header = next(self._records(), None)
        if header is None:
            raise OgaError(f"{name} is empty. Give a file with a header line and at least one row.")
        self.columns = tuple(header[2])
        check_header(name, self.columns)

    def scan(self, wanted: Sequence[str]) -> Scan:
        positions = [(name, self.columns.index(name)) for name in wanted]
        values: dict[str, list[Any]] = {name: [] for name in wanted}
        spans: list[tuple[int, int]] = []
        numbers: list[int] = []
        faults: list[tuple[int, str]] = []
        records = self._records()
        next(records)
        for row, (line, span, fields) in enumerate(records):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} rows, the most that is read. Split it.")
            if len(fields) != len(self.columns):
                faults.append((row, f"line {line} has {len(fields)} fields, the header has {len(self.columns)}"))
                continue
            for name, position in positions:
                values[name].append(fields[position])
            spans.append(span)
            numbers.append(row)
        where = np.array(spans, dtype=np.int64).reshape(-1, 2)
        return Scan(
            values, LazyRows(self.content, where, self._parse), np.array(numbers, dtype=np.int64), faults, where
        )

    def _parse(self, data: bytes) -> Row:
        text = data.decode("utf-8-sig")
        return dict(zip(self.columns, next(self._reader(io.StringIO(text, newline=""))), strict=True))

    def _reader(self, lines: Any) -> Any:
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        return csv.reader(lines, delimiter=DELIMITERS[self.format], quoting=self.quoting, strict=True)

    def _records(self) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
        """Yield (line number, byte span, fields) of every record that is not blank."""
        lines = _Lines(self.content.lines(self.name), self.name)
        reader = self._reader(lines)
        while True:
            start, line = lines.end, lines.number + 1
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
            counts = {len(fields) for _, _, fields in self._records()}
        except OgaError:
            counts = set()
        if len(counts) == 1:
            return False
        plain = {line.count(b"\t") for _, line in self.content.lines(self.name) if line.strip()}
        return len(plain) == 1


class JsonLinesTable:
    """One JSON object a line, in UTF-8. A line that is not one is a fault of that row, not of the file."""

    format = "jsonl"

    def __init__(self, source: Path | bytes, name: str):
        self.name, self.notes = name, list[str]()
        self.class_names: dict[str, tuple[str, ...]] = {}
        self.content = Content(source)
        columns: dict[str, None] = {}
        fault = ""
        for seen, (line, _, data) in enumerate(self._lines()):
            try:
                columns.update(dict.fromkeys(parse_json_row(data)))
            except ValueError as error:
                fault = fault or f" Line {line}: {error}."
            if seen >= _PEEKED_ROWS:
                break
        if not columns:
            raise OgaError(
                f'{name} holds no JSON objects, one a line.{fault} Give rows such as {{"text": …, "label": …}}.'
            )
        self.columns = tuple(columns)

    def scan(self, wanted: Sequence[str]) -> Scan:
        values: dict[str, list[Any]] = {name: [] for name in wanted}
        spans: list[tuple[int, int]] = []
        numbers: list[int] = []
        faults: list[tuple[int, str]] = []
        for row, (line, span, data) in enumerate(self._lines()):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} rows, the most that is read. Split it.")
            try:
                content = parse_json_row(data)
            except ValueError as error:
                faults.append((row, f"line {line}: {error}"))
                continue
            for name in wanted:
                values[name].append(content.get(name))
            spans.append(span)
            numbers.append(row)
        where = np.array(spans, dtype=np.int64).reshape(-1, 2)
        rows = LazyRows(self.content, where, parse_json_row)
        return Scan(values, rows, np.array(numbers, dtype=np.int64), faults, where)

    def _lines(self) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        for number, (offset, line) in enumerate(self.content.lines(self.name), start=1):
            if line.strip():
                yield number, (offset, offset + len(line)), line


class JsonArrayTable(JsonLinesTable):
    """One JSON array of objects in UTF-8, as fine-tuning sets often are."""

    format = "json"

    def _lines(self) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        text = decode(self.content[slice(0, MAX_ARRAY_BYTES + 1)], self.name)
        if len(text) > MAX_ARRAY_BYTES:
            raise OgaError(f"{self.name} is larger than {MAX_ARRAY_BYTES:,} bytes. Save it as JSON lines (.jsonl).")
        at, offset, line = _after_space(text, text.index("[") + 1), 0, 1
        done = 0
        while text[at : at + 1] not in ("]", ""):
            try:
                _, end = _ROW_DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", "it is nested too deeply")
                where = line + text.count("\n", done, at)
                raise OgaError(f"{self.name} is not valid JSON: in the row at line {where}: {reason}.") from None
            offset += len(text[done:at].encode())
            line += text.count("\n", done, at)
            data = text[at:end].encode()
            yield line, (offset, offset + len(data)), data
            offset, line, done = offset + len(data), line + text.count("\n", at, end), end
            at = _after_space(text, end)
            if text[at : at + 1] == ",":
                at = _after_space(text, at + 1)
            elif text[at : at + 1] != "]":
                raise OgaError(f"{self.name} is not valid JSON: a comma or ] is missing on line {line}.")


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def parse_json_row(data: bytes) -> dict[str, Any]:
    """Parse one JSON object strictly; raises `ValueError` with what a person can act on."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte 0x{error.object[error.start]:02x} is not UTF-8") from None
    try:
        row = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique_keys, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error.msg} at character {error.pos + 1})") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if "\\u" in text and (fault := text_fault(json.dumps(row, ensure_ascii=False))):
        raise ValueError(fault)
    return row


def decode(data: bytes, name: str, line: int = 1) -> str:
    """Decode UTF-8 that begins on a line; raises `OgaError` with the number of the line that is at fault."""
    if line == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise OgaError(f"{name} is in UTF-16. Save it as UTF-8 (in Excel: “CSV UTF-8”).")
    try:
        text = data.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        byte, line = data[error.start], line + data.count(b"\n", 0, error.start)
        raise OgaError(f"Line {line} of {name} is not UTF-8 (byte 0x{byte:02x}). Save the file as UTF-8.") from None
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise OgaError(f"Line {line} of {name} holds a NUL character. Save it as plain UTF-8 text.")
    return text


class _Lines:
    """Decoded lines for the csv module, counting lines and bytes as they are taken."""

    def __init__(self, lines: Iterator[tuple[int, bytes]], name: str):
        self._lines, self._name = lines, name
        self.number, self.end = 0, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        offset, line = next(self._lines)
        self.number, self.end = self.number + 1, offset + len(line)
        return decode(line, self._name, self.number)


_SEPARATOR_NAMES = {"csv": "commas", "tsv": "tabs", "semicolon": "semicolons"}


def _extension_format(name: str) -> str:
    return "tsv" if name.casefold().endswith((".tsv", ".tab")) else "csv"


def _separator_by_header(name: str, header: str) -> str:
    usual = _extension_format(name)
    if DELIMITERS[usual] in header:
        return usual
    return next((other for other, mark in DELIMITERS.items() if mark in header), usual)


def check_header(name: str, columns: Sequence[str]) -> None:
    """Raise `OgaError` where two columns have the same name."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise OgaError(
            f"{name} has more than one column named {some(twice)}. Rename them so that each name is used once."
        )


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


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return row
