"""Delimited tables with one word a row and a column that says its sentence: each sentence is one row here."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from oga_core.errors import OgaError
from oga_core.readers.tables.content import LazyRows
from oga_core.readers.tables.table import MAX_ROWS, TAGS, WORDS, RowCollector, Scan

if TYPE_CHECKING:
    from oga_core.readers.tables.delimited import DelimitedTable

_SENTENCES = ("sentence #", "sentence", "sentence_id", "sentence id", "sentence_idx", "sent_id", "sentence_number")
_WORDS = (*WORDS, "word", "token", "form")
_TAGS = (*TAGS, "tag", "ner_tag", "ner", "pos_tag", "pos", "chunk_tag", "chunk", "entity", "iob", "bio", "label")
_NUMBER = re.compile(r"(sentence\W*)?[\w.-]*", re.IGNORECASE)
"""What numbers a sentence, or nothing where the row above says it; a sentence itself has spaces."""
_PEEKED = 200  # rows by which a table of words is told from one of other things
_Words = list[list[str]]


class TokenRows:
    """One sentence a row, with its columns as lists. A sentence with rows of other widths is a fault of that row."""

    def __init__(self, table: DelimitedTable, sentence: str, word: str, tags: Sequence[str]):
        self.table = table
        self.name = table.name
        self.format = table.format
        self.notes = [*table.notes, f"{table.name} holds one word a row; its sentences are told by {sentence!r}."]
        self.class_names: dict[str, tuple[str, ...]] = {}
        self.columns = tuple(column for column in table.columns if column != sentence)
        self.word_column = word
        self.usual_tags = tuple(tags)
        self._sentence = table.columns.index(sentence)

    def scan(self, wanted: Sequence[str]) -> Scan:
        """Read every sentence once; keep the values of the wanted columns."""
        collector = RowCollector(wanted)
        for row, (line, span, words) in enumerate(self._sentences()):
            if row >= MAX_ROWS:
                raise OgaError(f"{self.name} has more than {MAX_ROWS:,} sentences, the most that is read. Split it.")
            strange = next((fields for fields in words if len(fields) != len(self.table.columns)), None)
            if strange is None:
                content = self._row(words)
                collector.add(row, span, [content[name] for name in wanted])
            else:
                fault = f"a row from line {line} on has {len(strange)} fields, the header {len(self.table.columns)}"
                collector.faults.append((row, fault))
        spans = collector.spans
        return collector.scan(LazyRows(self.table.content, spans, self._parse), spans)

    def _parse(self, data: bytes) -> dict[str, Any]:
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        return self._row([fields for fields in self.table.reader(text) if fields])

    def _row(self, words: _Words) -> dict[str, Any]:
        places = {column: self.table.columns.index(column) for column in self.columns}
        return {column: [fields[place] for fields in words] for column, place in places.items()}

    def _sentences(self) -> Iterator[tuple[int, tuple[int, int], _Words]]:
        """Yield (number of the first line, byte span, fields of its rows) of every sentence."""
        first, start, end, name = 0, 0, 0, ""
        words: _Words = []
        for line, span, fields in islice(self.table.records(), 1, None):
            number = fields[self._sentence].strip() if self._sentence < len(fields) else ""
            if words and number not in ("", name):
                yield first, (start, end), words
                words = []
            if not words:
                first, start = line, span[0]
            name = number or name
            end = span[1]
            words.append(fields)
        if words:
            yield first, (start, end), words


def by_sentence(table: DelimitedTable) -> DelimitedTable | TokenRows:
    """Return the table by sentences where it holds one word a row, else as it is."""
    by_key = {column.strip().casefold(): column for column in reversed(table.columns)}
    sentence, word = (next((by_key[key] for key in keys if key in by_key), None) for keys in (_SENTENCES, _WORDS))
    tags = [by_key[key] for key in _TAGS if key in by_key]
    if sentence is None or word is None or not tags:
        return table
    places = (table.columns.index(sentence), table.columns.index(word))
    rows = [fields for _, _, fields in islice(table.records(), 1, _PEEKED + 1) if len(fields) == len(table.columns)]
    numbers, words = ([fields[place].strip() for fields in rows] for place in places)
    repeated = "" in numbers[1:] or any(one == other for one, other in pairwise(numbers))
    is_one_word = all(len(text.split()) <= 1 for text in words)
    if not repeated or not is_one_word or not all(map(_NUMBER.fullmatch, numbers)):
        return table
    return TokenRows(table, sentence, word, tags)
