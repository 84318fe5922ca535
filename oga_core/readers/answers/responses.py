"""What the rows of a language model train it to say, and where in a row these texts stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from oga_core.readers.tables.pointers import pointer
from oga_core.readers.turns import ROLES

Row = Mapping[str, Any]

PAIRS = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
"""The columns of preference pairs: TRL's, and OpenAI's."""
COLUMNS = ("messages", "conversations", "completion", "response", "output", "answer")
"""The columns that hold responses; of several, the first that is there."""
_TEXT_KEYS = ("content", "value", "text")


def responses(row: Row, text_column: str | None = None) -> dict[str, str]:
    """Return the responses of a row, by their places as JSON Pointers, in order.

    text_column: of rows that are one text, trained on as a whole; recognised where it is called `text`.
    """
    columns = {str(name).strip().casefold(): str(name) for name in row}
    for pair in PAIRS:
        if set(pair) <= columns.keys():
            return {place: text for name in pair for place, text in _texts(row[columns[name]], columns[name])}
    name = next((columns[name] for name in COLUMNS if name in columns), None)
    if text_column in row or name is None:
        name = text_column if text_column in row else columns.get("text")
    return {} if name is None else dict(_texts(row[name], name))


def _texts(value: Any, *keys: str | int) -> Iterator[tuple[str, str]]:
    """Yield the texts of one column: itself, or those of the model's turns in a list of turns."""
    turns = turns_of(value)
    if turns is None:
        if isinstance(value, str):
            yield pointer(*keys), value
        return
    for i, turn in enumerate(turns):
        if is_response(turn):
            yield from _content(turn, *keys, i)


def _content(turn: Mapping[str, Any], *keys: str | int) -> Iterator[tuple[str, str]]:
    """Yield the texts of a turn, whose content may come in parts."""
    name = next((name for name in _TEXT_KEYS if isinstance(turn.get(name), (str, list, tuple))), None)
    if name is None:
        return
    content = turn[name]
    if isinstance(content, str):
        yield pointer(*keys, name), content
        return
    for j, part in enumerate(content):
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield pointer(*keys, name, j, "text"), part["text"]


def is_response(turn: Mapping[str, Any]) -> bool:
    """Whether a turn is the model's."""
    role = turn.get("role", turn.get("from"))
    return isinstance(role, str) and ROLES.get(role.strip().casefold()) == "assistant"


def turns_of(value: Any) -> list[Mapping[str, Any]] | None:
    """Return the turns of a conversation, also where a table holds them as JSON; None for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, (list, tuple)) and all(isinstance(turn, Mapping) for turn in value):
        return list(value)
    return None
