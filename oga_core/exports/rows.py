"""Change labels and leave out rows of text tables; every other byte stays as it was."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oga_core.readers.tables import open_text_table
from oga_core.readers.tables.conll import ConllTable
from oga_core.readers.tables.delimited import DELIMITERS, DelimitedTable
from oga_core.readers.tables.json_rows import JsonArrayTable
from oga_core.readers.tables.pointers import keys_of, replaced
from oga_core.readers.tables.table import Scan, Table
from oga_core.readers.tables.token_rows import TokenRows
from oga_core.review.edits import Edits, typed_label

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def edited_table(source: Path | bytes, name: str, label_column: str | None, edits: Edits) -> Iterator[bytes]:
    """Yield the bytes of a CSV, TSV, JSON-lines, JSON or CoNLL table with the edits of its rows."""
    table = open_text_table(source, name)
    scan = table.scan([])
    whole = source if isinstance(source, bytes) else source.read_bytes()
    if isinstance(table, JsonArrayTable):
        yield from _edited_array(whole, scan, label_column, edits)
        return
    assert scan.spans is not None
    at = 0
    changed = edits.changed_rows
    for row, (start, stop) in zip(scan.row_numbers.tolist(), scan.spans.tolist(), strict=True):
        if row not in edits.removed_rows and row not in changed:
            continue
        yield whole[at:start]
        at = stop
        if row not in edits.removed_rows:
            yield _edited_record(table, whole[start:stop].decode("utf-8-sig"), label_column, edits, row).encode()
    yield whole[at:]


def _edited_record(table: Table, record: str, label_column: str | None, edits: Edits, row: int) -> str:
    if isinstance(table, ConllTable):
        for place, tags in edits.values_of_row.get(row, {}).items():
            record = table.retagged(record, keys_of(place)[0], tags)
        return record
    if isinstance(table, TokenRows):
        for place, tags in edits.values_of_row.get(row, {}).items():
            record = _retagged(table.table, record, keys_of(place)[0], tags)
        return record
    if not isinstance(table, DelimitedTable):
        return _edited_object(record, label_column, edits, row)
    delimiter = DELIMITERS[table.format]
    is_quoted = table.quoting != csv.QUOTE_NONE
    if label_column is not None and row in edits.label_of_row:
        position = table.columns.index(label_column)
        record = replace_field(record, delimiter, position, edits.label_of_row[row], is_quoted)
    for place, value in edits.values_of_row.get(row, {}).items():
        column, *keys = keys_of(place)
        position = table.columns.index(column)
        old = field_at(record, delimiter, position, is_quoted)
        record = replace_field(record, delimiter, position, replaced(old, keys, value), is_quoted)
    return record


def _retagged(table: DelimitedTable, records: str, column: str, tags: Sequence[str]) -> str:
    """The rows of a sentence with other tags in a column; all else stays."""
    position = table.columns.index(column)
    is_quoted = table.quoting != csv.QUOTE_NONE
    coming = iter(tags)
    written = []
    record = ""
    for line in records.splitlines(keepends=True):
        record += line
        if is_quoted and record.count('"') % 2:
            continue  # a line break between quotation marks
        if record.strip():
            record = replace_field(record, DELIMITERS[table.format], position, next(coming), is_quoted)
        written.append(record)
        record = ""
    return "".join(written)


def _edited_object(record: str, label_column: str | None, edits: Edits, row: int) -> str:
    if label_column is not None and row in edits.label_of_row:
        record = replace_value(record, label_column, edits.label_of_row[row])
    for place, value in edits.values_of_row.get(row, {}).items():
        record = replace_at(record, keys_of(place), value)
    return record


def replace_field(record: str, delimiter: str, position: int, value: str, is_quoted: bool = True) -> str:
    """Replace one field of a raw CSV record, quoted as it was and where it must be."""
    start, stop = _field_span(record, delimiter, position, is_quoted)
    must_quote = is_quoted and (
        record[start : start + 1] == '"' or any(mark in value for mark in (delimiter, '"', "\n", "\r"))
    )
    text = '"' + value.replace('"', '""') + '"' if must_quote else value
    return record[:start] + text + record[stop:]


def field_at(record: str, delimiter: str, position: int, is_quoted: bool = True) -> str:
    """Return one field of a raw CSV record, as a reader of CSV does."""
    start, stop = _field_span(record, delimiter, position, is_quoted)
    text = record[start:stop]
    return text[1:-1].replace('""', '"') if is_quoted and text.startswith('"') else text


def replace_value(record: str, key: str, label: str) -> str:
    """Replace the value under a key of a raw JSON object; a number stays a number where the label is one."""
    old, start, stop = _value_at(record, 0, key)
    return record[:start] + json.dumps(typed_label(label, old), ensure_ascii=False) + record[stop:]


def replace_at(record: str, keys: list[str], value: Any) -> str:
    """Replace the value under nested keys of a raw JSON object; all else stays as it was written.

    A text on the way holds JSON itself, and is read and written as such. Raises `LookupError` without such a place.
    """
    start = 0
    while keys:
        old, start, stop = _value_at(record, start, keys[0])
        keys = keys[1:]
        if not isinstance(old, (dict, list)):
            value = replaced(old, keys, value)
            keys = []
    return record[:start] + json.dumps(value, ensure_ascii=False) + record[stop:]


def _value_at(record: str, at: int, key: str) -> tuple[Any, int, int]:
    """The value under a key of the raw JSON object or list that begins at or after `at`, and where it stands."""
    at = _skip(record, at)
    is_object = record[at] == "{"
    at = _skip(record, at + 1)
    position = 0
    while record[at] not in "}]":
        name: Any = str(position)
        if is_object:
            name, at = _DECODER.raw_decode(record, at)
            at = _skip(record, _skip(record, at) + 1)
        value, stop = _DECODER.raw_decode(record, at)
        if name == key:
            return value, at, stop
        position += 1
        at = _skip(record, stop)
        at = _skip(record, at + 1) if record[at] == "," else at
    raise KeyError(key)


def _edited_array(whole: bytes, scan: Scan, label_column: str | None, edits: Edits) -> Iterator[bytes]:
    """Edit the rows of a JSON array; a row that goes takes the comma after it, the last one the comma before."""
    assert scan.spans is not None
    shift = 3 if whole.startswith(b"\xef\xbb\xbf") else 0
    spans = [(start + shift, stop + shift) for start, stop in scan.spans.tolist()]
    rows = scan.row_numbers.tolist()
    remaining = [i for i, row in enumerate(rows) if row not in edits.removed_rows]
    yield whole[: spans[0][0]]
    for place, i in enumerate(remaining):
        start, stop = spans[i]
        if place:
            yield whole[spans[i - 1][1] : start]
        yield _edited_object(whole[start:stop].decode(), label_column, edits, rows[i]).encode()
    yield whole[spans[-1][1] :]


def _field_span(record: str, delimiter: str, position: int, is_quoted: bool) -> tuple[int, int]:
    at = 0
    for _ in range(position):
        at = _field_end(record, at, delimiter, is_quoted) + 1
    return at, _field_end(record, at, delimiter, is_quoted)


def _field_end(record: str, at: int, delimiter: str, is_quoted: bool) -> int:
    if is_quoted and record[at : at + 1] == '"':
        at += 1
        while (at := record.index('"', at) + 1) and record[at : at + 1] == '"':
            at += 1
    while at < len(record) and record[at] not in (delimiter, "\n", "\r"):
        at += 1
    return at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
