"""Sentences as lists of words with a tag for each, as in token classification."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers.columns import some
from oga_core.readers.tables.table import TAGS, WORDS, Table

_LISTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,\[\]]+""")
"""An item of a list, in quotation marks or not."""
_SPACED = re.compile(r"\S+")
_DIGITS = 10  # a longer one numbers no tag


class Sentence(str):
    """The words of a sentence with spaces between, and the words themselves."""

    __slots__ = ("words",)
    words: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> Sentence:
        """Return the sentence of these words."""
        sentence = cls(" ".join(words))
        sentence.words = tuple(words)
        return sentence


def tagged_columns(table: Table, label_column: str | None) -> tuple[str, str] | None:
    """Return the column of words and that of tags; None for a table that has not both.

    Raises `OgaError` where several columns could hold the tags and none was chosen.
    """
    by_key = {column.strip().casefold(): column for column in reversed(table.columns)}
    words = getattr(table, "word_column", None)
    usual = [by_key[key] for key in TAGS if key in by_key]
    allowed = usual
    if words is None:
        words = next((by_key[key] for key in WORDS if key in by_key), None)
    else:  # of a table of words, where any other column may hold tags
        usual = list(getattr(table, "usual_tags", usual))
        allowed = [column for column in table.columns if column != words]
    if words is None or (label_column is not None and label_column not in allowed):
        return None
    if label_column is None and len(usual) > 1:
        raise OgaError(
            f"{table.name} has several columns that could hold the tags of its words: {some(usual)}. "
            "Choose one with --label-column."
        )
    return (words, label_column or usual[0]) if label_column or usual else None


def as_list(value: Any) -> Any:
    """Return the list that a text holds as JSON, Python or NumPy write it, or words between spaces; else the value."""
    return [_item(item) for item in _items(value)] if isinstance(value, str) else value


def as_text(new: Sequence[Any], old: str) -> str:
    """Return a list as a text in the form of `old`, which holds as many items."""
    coming = iter(new)
    return _pattern(old).sub(lambda item: _like(str(next(coming)), item[0]), old)


def _items(text: str) -> list[str]:
    return _pattern(text).findall(text)


def _pattern(text: str) -> re.Pattern[str]:
    return _LISTED if text.lstrip().startswith("[") else _SPACED


def _item(text: str) -> Any:
    """One item: what is quoted as a text, digits as a number."""
    if text[0] not in "'\"":
        return int(text) if text.isdecimal() and len(text) < _DIGITS else text
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError):
            return read(text)
    return text


def _like(new: str, old: str) -> str:
    if old[0] not in "'\"":
        return new
    return json.dumps(new, ensure_ascii=False) if old[0] == '"' else repr(new)


def sentence_of(row: Mapping[str, Any], column: str) -> Sentence:
    """The words of a row; raises `UnreadableSample` where its column holds no list of texts."""
    words = row.get(column)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UnreadableSample(f"its {column!r} is not a list of words")
    return Sentence.of(words)


def tag_texts(
    words: Sequence[Any], tags: Sequence[Any], names: Sequence[str] | None, columns: tuple[str, str]
) -> tuple[list[str | None], dict[int, str]]:
    """The tags of every row as a list in JSON, and by row what is wrong with those that are None.

    names: of numbered tags.
    """
    texts: list[str | None] = []
    faults: dict[int, str] = {}
    for row, lists in enumerate(zip(words, tags, strict=True)):
        fault = _fault(*lists, columns)
        values = [] if fault else [_tag(tag, names) for tag in lists[1]]
        if not fault and None in values:
            fault = f"its {columns[1]!r} holds {lists[1][values.index(None)]!r}, which is not a tag"
        texts.append(None if fault else json.dumps(values, ensure_ascii=False))
        if fault:
            faults[row] = fault
    return texts, faults


def _fault(words: Any, tags: Any, columns: tuple[str, str]) -> str:
    for column, values in zip(columns, (words, tags), strict=True):
        if not isinstance(values, list):
            return f"its {column!r} is not a list"
    if not words:
        return f"its {columns[0]!r} has no words"
    if len(words) != len(tags):
        return f"it has {len(words):,} words in {columns[0]!r} and {len(tags):,} tags in {columns[1]!r}"
    return ""


def _tag(tag: Any, names: Sequence[str] | None) -> str | None:
    """The name of a tag, None for what is none."""
    if isinstance(tag, int) and not isinstance(tag, bool):
        if names is None:
            return str(tag)
        return names[tag] if 0 <= tag < len(names) else None
    return tag if isinstance(tag, str) and tag.strip() else None
