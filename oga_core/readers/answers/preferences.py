"""Preference pairs: a prompt, the answer that was chosen and the one that was rejected.

TRL's rows with a prompt, or without one: then it is what both answers begin with; each part a text or turns of a
conversation. OpenAI's rows: `input`, `preferred_output`, `non_preferred_output`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oga_core.errors import UnreadableSample
from oga_core.readers.turns import conversation, parsed

Row = Mapping[str, Any]
FORMS = {"trl": frozenset({"chosen", "rejected"}), "openai": frozenset({"preferred_output", "non_preferred_output"})}
_OPTIONS = ("tools", "chat_template_kwargs")


def form_of(columns: Sequence[str]) -> str | None:
    """Return which form of preference pairs a table has by its column names; None for a table of other rows."""
    names = {name.strip().casefold() for name in columns}
    return next((form for form, needed in FORMS.items() if needed <= names), None)


def preference(row: Row) -> dict[str, Any]:
    """Return `prompt`, `chosen` and `rejected`, all texts or all lists of turns, and the options of the template.

    Raises `UnreadableSample` for a row that is neither, and for one whose answers are the same.
    """
    lowered = {str(key).strip().casefold(): value for key, value in row.items()}
    content = _trl(lowered) if FORMS["trl"] <= lowered.keys() else _openai(lowered)
    if content["chosen"] == content["rejected"]:
        raise UnreadableSample("its two answers are the same")
    return content


def _trl(row: Row) -> dict[str, Any]:
    prompt, chosen, rejected = (_part(row.get(name), name) for name in ("prompt", "chosen", "rejected"))
    if chosen is None or rejected is None or isinstance(chosen, str) != isinstance(rejected, str):
        raise UnreadableSample("its 'chosen' and 'rejected' are not two texts or two lists of turns")
    # As TRL's maybe_extract_prompt: a prompt of another kind than the answers stands in the answers as well.
    if prompt is None or isinstance(prompt, str) != isinstance(chosen, str):
        start = _shared_length(chosen, rejected)
        prompt = chosen[:start]
        chosen = chosen[start:]
        rejected = rejected[start:]
    options = {name: parsed(row[name], name) for name in _OPTIONS if row.get(name) is not None}
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **options}


def _openai(row: Row) -> dict[str, Any]:
    given = parsed(row.get("input"), "input")
    if not isinstance(given, Mapping) or not given.get("messages"):
        raise UnreadableSample("its 'input' holds no 'messages'")
    answers = {"chosen": row.get("preferred_output"), "rejected": row.get("non_preferred_output")}
    options = {"tools": given["tools"]} if given.get("tools") else {}
    return {
        "prompt": conversation(given["messages"]),
        **{name: conversation(value) for name, value in answers.items()},
        **options,
    }


def _part(value: Any, name: str) -> str | list[dict[str, Any]] | None:
    """A text, or turns; a table may hold turns as JSON. None where there is nothing."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = parsed(value, name)
        except UnreadableSample:
            return str(value)
    if value is None or isinstance(value, str):
        return value
    return conversation(value)


def _shared_length(chosen: Any, rejected: Any) -> int:
    """Where the answers begin to differ, as TRL's extract_prompt has it: a space before the difference is the answers',
    and where one answer is the beginning of the other, its last letter or turn is no prompt.
    """
    pairs = enumerate(zip(chosen, rejected, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), None)
    if at is None:
        return max(0, min(len(chosen), len(rejected)) - 1)
    return at - 1 if at and chosen[at - 1] == " " else at
