"""CoNLL text: a word and its tag a line, an empty line between sentences; each sentence is one row. CoNLL-U too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.readers.tables.content import Content, LazyRows, decode
from oga_core.readers.tables.table import MAX_ROWS, RowCollector, Scan

WORDS, TAGS = "tokens", "tags"
"""What the first and the last column are called; those between are column_2, column_3 and so on."""
UNIVERSAL = ("number", WORDS, "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U, where a line that begins with no whole number, as 1-2 or 1.1, is no word of its own."""
ENDINGS = (".conll", ".conllu", ".bio", ".iob", ".iob2")
_BETWEEN = re.compile(r"\d+[-.]\d+")
_FIELD = re.compile(r"[^ \t\r]+")
MAX_WORDS = 100_000
"""Of a sentence: no model reads so many, and a file without empty lines would fill the memory."""
DOCUMENT = "-DOCSTART-"
"""Stands at the beginning of a document in CoNLL-2003, and is no sentence."""


class ConllTable:
    """One sentence a row, with its columns as lists. A sentence with lines of other widths is a fault of that row.

    delimiter: a tab where the first line has one, else None for any white space. Lines that begin with # and have
    another number of columns are comments.
    """

    format = "conll"

    def __init__(self, source: Path | bytes, name: str):
        self.name = name
        self.notes: list[str] = []
        self.class_names: dict[str, tuple[str, ...]] = {}
        self.content = Content(source)
        self.word_column = WORDS
        self.is_universal = name.casefold().endswith(".conllu")
        first = next((line for _, _, lines in self._blocks() for line in lines if not line.startswith("#")), "")
        self.delimiter = "\t" if "\t" in first else None
        width = len(self._fields(first))
        if width < 2:
            raise OgaError(
                f"{name} begins with {first[:40]!r}, which is no word with a tag. Give a word, a tab or space, "
                "and a tag in each line, and an empty line between sentences."
            )
        self.columns = (WORDS, *(f"column_{place}" for place in range(2, width)), TAGS)
        self.usual_tags: tuple[str, ...] = (TAGS,)
        if self.is_universal:
            if width != len(UNIVERSAL):
                raise OgaError(f"{name} has {width} column(s) where CoNLL-U has 10. Is it another format? Rename it.")
            self.columns = UNIVERSAL
            self.usual_tags = ("upos",)

    def scan(self, wanted: Sequence[str]) -> Scan:
        """Read every sentence once; keep the values of the wanted columns."""
        collector = RowCollector(wanted)
        for row, (number, span, lines) in enumerate(self._sentences()):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} sentences, the most that is read. Split it.")
            try:
                content = self._row(lines, number)
            except ValueError as error:
                collector.faults.append((row, str(error)))
            else:
                collector.add(row, span, [content.get(name) for name in wanted])
        spans = collector.spans
        return collector.scan(LazyRows(self.content, spans, self._parse), spans)

    def retagged(self, record: str, column: str, tags: Sequence[str]) -> str:
        """Return a sentence as it is written with other tags in a column; all else stays."""
        place = self.columns.index(column)
        coming = iter(tags)
        lines = record.split("\n")
        return "\n".join(self._with(line, place, next(coming)) if self._is_word(line) else line for line in lines)

    def _with(self, line: str, place: int, tag: str) -> str:
        if self.delimiter:
            fields = line.split(self.delimiter)
            end = "\r" if fields[place].endswith("\r") else ""
            return self.delimiter.join([*fields[:place], tag + end, *fields[place + 1 :]])
        old = list(_FIELD.finditer(line))[place]
        return line[: old.start()] + tag + line[old.end() :]

    def _parse(self, data: bytes) -> dict[str, Any]:
        return self._row([line for line in data.decode("utf-8-sig").split("\n") if line.strip()], 1)

    def _row(self, lines: Sequence[str], number: int) -> dict[str, Any]:
        rows = []
        for place, line in enumerate(lines):
            fields = self._fields(line)
            if self._is_word(line):
                rows.append(fields)
            elif not line.startswith("#") and not self._is_between(fields):
                raise ValueError(
                    f"line {number + place} has {len(fields)} column(s), and the first line {len(self.columns)}"
                )
        return {name: [row[place] for row in rows] for place, name in enumerate(self.columns)}

    def _fields(self, line: str) -> list[str]:
        return line.rstrip("\r").split(self.delimiter) if self.delimiter else _FIELD.findall(line)

    def _is_word(self, line: str) -> bool:
        fields = self._fields(line)
        return bool(line.strip()) and len(fields) == len(self.columns) and not self._is_between(fields)

    def _is_between(self, fields: Sequence[str]) -> bool:
        """Whether a line of CoNLL-U is of several words together, or of one that is not written."""
        return self.is_universal and _BETWEEN.fullmatch(fields[0]) is not None

    def _sentences(self) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
        for number, span, lines in self._blocks():
            words = [line for line in lines if self._is_word(line) or not line.startswith("#")]
            if words and self._fields(words[0])[0] != DOCUMENT:
                yield number, span, lines

    def _blocks(self) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
        """Yield (number of the first line, byte span, lines) of everything between empty lines."""
        numbered = iter(enumerate(self.content.lines(self.name), start=1))
        for number, (offset, line) in numbered:
            if not line.strip():
                continue
            following = takewhile(lambda part: part[1][1].strip(), numbered)
            rest = [data for _, (_, data) in islice(following, MAX_WORDS)]
            if len(rest) == MAX_WORDS:
                raise OgaError(
                    f"{self.name} has a sentence of more than {MAX_WORDS:,} words at line {number}. Give an empty line "
                    "between sentences."
                )
            data = b"".join([line, *rest])
            lines = decode(data, self.name, number).removesuffix("\n").split("\n")
            yield number, (offset, offset + len(data)), lines
