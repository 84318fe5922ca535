"""Tables of rows: CSV, TSV, JSON, CoNLL, Parquet and Arrow, each read lazily."""

from __future__ import annotations

import codecs
from itertools import islice
from pathlib import Path, PurePosixPath

from oga_core.errors import OgaError
from oga_core.readers.tables.conll import ENDINGS, ConllTable
from oga_core.readers.tables.content import Content, decode
from oga_core.readers.tables.delimited import DelimitedTable
from oga_core.readers.tables.json_rows import JsonArrayTable, JsonLinesTable
from oga_core.readers.tables.table import Table
from oga_core.readers.tables.token_rows import by_sentence

__all__ = ["Table", "open_text_table"]

_PEEKED_BYTES = 4_096  # where only white space comes first, more of it than this is no table


def open_text_table(source: Path | str | bytes, name: str | None = None) -> Table:
    """Open a CSV, TSV, JSON or CoNLL table; `name` is the file's own where it is None, and must be there for bytes.

    A `.json` file holds one array of objects, or one object a line. Raises `OgaError` for other endings and contents.
    """
    source = Path(source) if isinstance(source, str) else source
    name = source.name if name is None and isinstance(source, Path) else name or ""
    suffix = PurePosixPath(name).suffix.casefold()
    if suffix in (".csv", ".tsv", ".tab", ".txt"):
        return by_sentence(DelimitedTable(source, name))
    if suffix in (".jsonl", ".ndjson"):
        return JsonLinesTable(source, name)
    if suffix == ".json":
        return _open_json(source, name)
    if suffix in ENDINGS:
        return ConllTable(source, name)
    raise OgaError(f"The table of labels {name} must be a .csv, .tsv or .jsonl file.")


def _open_json(source: Path | bytes, name: str) -> Table:
    content = Content(source)
    head = content[slice(0, _PEEKED_BYTES)]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decode(head, name)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        return JsonArrayTable(source, name)
    if not start.startswith(b"{"):
        raise OgaError(f"{name} is not an array of JSON objects. Give [{{…}}, {{…}}], or one object a line.")
    lines = (line.removeprefix(codecs.BOM_UTF8).strip() for _, line in content.lines(name))
    first, *second = islice(filter(None, lines), 2)
    if not second or not first.endswith(b"}"):
        raise OgaError(f"{name} is one JSON object. Give its rows as an array [{{…}}, {{…}}], or one object a line.")
    return JsonLinesTable(source, name)
