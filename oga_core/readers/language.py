"""Rows for fine-tuning language models, brought into one of three shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oga_core.samples import UnreadableSample

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
SYSTEM_ROLES = {"system": "system", "developer": "system", "tool": "tool", "function": "tool"}

Row = Mapping[str, Any]


def shape_of(columns: Sequence[str]) -> str | None:
    """Return which of the known shapes a table of rows for language models has, by its column names."""
    names = {name.strip().casefold() for name in columns}
    return next((shape for shape, (needed, _) in SHAPES.items() if needed <= names), None)


def normalise(row: Row, shape: str, text_column: str | None = None) -> dict[str, Any]:
    """Return {"messages": […]}, {"prompt": …, "completion": …} or {"text": …}; raises `UnreadableSample`."""
    if shape == "text":
        return {"text": _text(row, text_column or "text")}
    lowered = {str(key).strip().casefold(): value for key, value in row.items()}
    return SHAPES[shape][1](lowered)


def _messages(row: Row) -> dict[str, Any]:
    return _conversation(row.get("messages"), "role", "content")


def _conversations(row: Row) -> dict[str, Any]:
    return _conversation(row.get("conversations"), "from", "value")


def _conversation(turns: Any, role_key: str, text_key: str) -> dict[str, Any]:
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)
        except (ValueError, RecursionError):
            raise UnreadableSample("its messages are not valid JSON") from None
    if not isinstance(turns, list) or not turns:
        raise UnreadableSample("its messages are not a list of turns")
    return {"messages": [_turn(turn, role_key, text_key) for turn in turns]}


def _turn(turn: Any, role_key: str, text_key: str) -> dict[str, str]:
    if not isinstance(turn, Mapping):
        raise UnreadableSample(f"a message is not an object with {role_key!r} and {text_key!r}")
    role = turn.get(role_key, turn.get("role"))
    text = turn.get(text_key, turn.get("content"))
    if not isinstance(role, str) or not isinstance(text, str):
        raise UnreadableSample(f"a message has no text under {role_key!r} and {text_key!r}")
    known = {**ROLES, **SYSTEM_ROLES}
    if role.casefold() not in known:
        raise UnreadableSample(f"a message has the unknown role {role!r}")
    return {"role": known[role.casefold()], "content": text}


def _prompt_completion(row: Row) -> dict[str, Any]:
    prompt, completion = row.get("prompt"), row.get("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        return _conversation(prompt + completion, "role", "content")
    return {"prompt": _text(row, "prompt"), "completion": _text(row, "completion")}


def _instruction(row: Row) -> dict[str, Any]:
    """Alpaca's rows: the input, where there is one, follows the instruction after a blank line."""
    extra = row.get("input") or ""
    if not isinstance(extra, str):
        raise UnreadableSample("its 'input' is not a text")
    instruction = _text(row, "instruction")
    return {"prompt": f"{instruction}\n\n{extra}" if extra else instruction, "completion": _text(row, "output")}


def _question_answer(row: Row) -> dict[str, Any]:
    return {"prompt": _text(row, "question"), "completion": _text(row, "answer")}


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise UnreadableSample(f"its {column!r} is not a text")
    return value


SHAPES: dict[str, tuple[frozenset[str], Callable[[Row], dict[str, Any]]]] = {
    "messages": (frozenset({"messages"}), _messages),
    "conversations": (frozenset({"conversations"}), _conversations),
    "prompt_completion": (frozenset({"prompt", "completion"}), _prompt_completion),
    "instruction": (frozenset({"instruction", "output"}), _instruction),
    "question_answer": (frozenset({"question", "answer"}), _question_answer),
}
