"""JSON files of rows: one object a line, or one array of objects; each row is parsed again when asked for."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.tables.content import Content, LazyRows, decode
from oga_core.readers.tables.table import MAX_ROWS, RowCollector, Scan

MAX_ARRAY_BYTES = 512_000_000  # an array is decoded whole; larger sets go line by line
MAX_INTEGER_DIGITS = 400  # longer integers take time that grows with the square of their length
_PEEKED_ROWS = 200  # rows that show which columns there are
_SPACE = re.compile(r"[ \t\n\r]*")
_ROW_DECODER = json.JSONDecoder(parse_int=str)


class JsonLinesTable:
    """One JSON object a line, in UTF-8. A line that is not one is a fault of that row, not of the file."""

    format = "jsonl"

    def __init__(self, source: Path | bytes, name: str):
        self.name = name
        self.notes: list[str] = []
        self.class_names: dict[str, tuple[str, ...]] = {}
        self.content = Content(source)
        self.columns = self._first_columns()

    def _first_columns(self) -> tuple[str, ...]:
        """Return the keys of the first rows, in the order in which they appear."""
        columns: dict[str, None] = {}
        fault = ""
        for line, _, data in islice(self._lines(), _PEEKED_ROWS):
            try:
                columns.update(dict.fromkeys(parse_json_row(data)))
            except ValueError as error:
                fault = fault or f" Line {line}: {error}."
        if not columns:
            raise OgaError(
                f'{self.name} holds no JSON objects, one a line.{fault} Give rows such as {{"text": …, "label": …}}.'
            )
        return tuple(columns)

    def scan(self, wanted: Sequence[str]) -> Scan:
        """Read every row once; keep the values of the wanted columns."""
        collector = RowCollector(wanted)
        for row, (line, span, data) in enumerate(self._lines()):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} rows, the most that is read. Split it.")
            try:
                content = parse_json_row(data)
            except ValueError as error:
                collector.faults.append((row, f"line {line}: {error}"))
            else:
                collector.add(row, span, [content.get(name) for name in wanted])
        spans = collector.spans
        return collector.scan(self.rows_at(spans), spans)

    def rows_at(self, spans: NDArray[np.int64]) -> LazyRows:
        """The rows at byte offsets `(n_rows, 2)`."""
        return LazyRows(self.content, spans, parse_json_row)

    def _lines(self) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        """Yield (line number, byte span, bytes) of every row."""
        for number, (offset, line) in enumerate(self.content.lines(self.name), start=1):
            if line.removeprefix(codecs.BOM_UTF8).strip():
                yield number, (offset, offset + len(line)), line


class JsonArrayTable(JsonLinesTable):
    """One JSON array of objects in UTF-8, as fine-tuning sets often are."""

    format = "json"

    def _lines(self) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        text = decode(self.content[slice(0, MAX_ARRAY_BYTES + 1)], self.name)
        if len(text) > MAX_ARRAY_BYTES:
            raise OgaError(f"{self.name} is larger than {MAX_ARRAY_BYTES:,} bytes. Save it as JSON lines (.jsonl).")
        offset = 0
        line = 1
        done = 0
        for at, end in self._elements(text):
            offset += len(text[done:at].encode())
            line += text.count("\n", done, at)
            data = text[at:end].encode()
            yield line, (offset, offset + len(data)), data
            offset += len(data)
            line += text.count("\n", at, end)
            done = end

    def _elements(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where each element of the array begins and ends, in characters."""
        at = _after_space(text, text.index("[") + 1)
        while text[at : at + 1] not in ("]", ""):
            try:
                _, end = _ROW_DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", "it is nested too deeply")
                where = 1 + text.count("\n", 0, at)
                raise OgaError(f"{self.name} is not valid JSON: in the row at line {where}: {reason}.") from None
            yield at, end
            at = _after_space(text, end)
            if text[at : at + 1] == ",":
                at = _after_space(text, at + 1)
            elif text[at : at + 1] != "]":
                where = 1 + text.count("\n", 0, at)
                raise OgaError(f"{self.name} is not valid JSON: a comma or ] is missing on line {where}.")


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


def text_fault(text: str) -> str | None:
    """Return what is wrong with a text that cannot be stored as UTF-8, else None."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is not valid text"
    return None


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
