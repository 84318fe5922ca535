"""Sentences as lists of words with a tag for each, as in token classification."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers.columns import some

WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "pos_tags", "chunk_tags", "upos", "labels")
"""Usual names of the columns that hold lists of words, and of their tags."""


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


def tagged_columns(columns: Sequence[str], label_column: str | None, name: str) -> tuple[str, str] | None:
    """Return the column of words and that of tags; None for a table that has not both.

    Raises `OgaError` where several columns could hold the tags and none was chosen.
    """
    by_key = {column.strip().casefold(): column for column in reversed(columns)}
    words = next((by_key[key] for key in WORDS if key in by_key), None)
    tags = [by_key[key] for key in TAGS if key in by_key]
    if words is None or (label_column is not None and label_column not in (*tags, *columns_of_conll(columns))):
        return None
    if label_column is None and len(tags) > 1:
        raise OgaError(
            f"{name} has several columns that could hold the tags of its words: {some(tags)}. "
            "Choose one with --label-column."
        )
    return (words, label_column or tags[0]) if label_column or tags else None


def columns_of_conll(columns: Sequence[str]) -> list[str]:
    """The columns of a CoNLL file between its first and its last."""
    return [column for column in columns if column.startswith("column_")]


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
