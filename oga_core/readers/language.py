"""Rows for fine-tuning language models, brought into one of four shapes: what trainers read, by their own names.

- {"messages": [turn, …]}: a conversation;
- {"prompt": [turn, …], "completion": [turn, …]}: a conversation of which the second part is trained on;
- {"prompt": text, "completion": text};
- {"text": text}.

A conversation may also have "tools" and "chat_template_kwargs". A key "ignored" names the fields of the row that say
something to some trainer and nothing to this shape. Alpaca's input follows its instruction after a blank line; where
the table has the columns `system` or `history`, which are LLaMA-Factory's, the row is a conversation as it makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oga_core.errors import UnreadableSample
from oga_core.readers.turns import conversation, parsed, turns_of

MEANINGFUL = ("tools", "system", "history", "input", "context", "weight", "chat_template_kwargs", "documents")
"""Fields that some trainer reads; also those of pictures and sound, which a language model of texts cannot see."""
_MEDIA = ("image", "images", "video", "videos", "audio", "audios")
_OF_CONVERSATIONS = frozenset({"tools", "chat_template_kwargs"})

Row = Mapping[str, Any]


def shape_of(columns: Sequence[str]) -> str | None:
    """Return which of the known shapes a table of rows for language models has, by its column names."""
    names = {name.strip().casefold() for name in columns}
    shape = next((shape for shape, (needed, _, _) in SHAPES.items() if needed <= names), None)
    return "instruction_chat" if shape == "instruction" and names & {"system", "history"} else shape


def normalise(row: Row, shape: str, text_column: str | None = None) -> dict[str, Any]:
    """Return the row in its shape; raises `UnreadableSample` that says what is wrong with it."""
    if shape == "text":
        return {"text": _text(row, text_column or "text")}
    lowered = {str(key).strip().casefold(): value for key, value in row.items()}
    needed, used, read = SHAPES[shape]
    _check_form(lowered, needed)
    content = read(lowered)
    if isinstance(content.get("messages", content.get("prompt")), list):
        content |= _options(lowered)
        used = used | _OF_CONVERSATIONS
    ignored = [name for name in (*MEANINGFUL, *_MEDIA) if name not in used and lowered.get(name) not in _EMPTY]
    return {**content, "ignored": ignored} if ignored else content


def _check_form(row: Row, needed: frozenset[str]) -> None:
    """Raise `UnreadableSample` for a row without the fields of its shape that is a whole row of another."""
    if any(row.get(name) is not None for name in needed):
        return
    given = [name for name, value in row.items() if value not in _EMPTY]
    other = "text" if "text" in given else shape_of(given)
    if other is not None:
        raise UnreadableSample(
            f"its fields are those of another form ({', '.join(given)[:80]}) than the file is read by "
            f"({', '.join(sorted(needed))}); give rows of one form in a file"
        )


_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _options(row: Row) -> dict[str, Any]:
    """The tools of a conversation and the variables of its template, as objects."""
    options = {name: parsed(row[name], name) for name in _OF_CONVERSATIONS if row.get(name) is not None}
    if not isinstance(options.get("tools", []), list):
        raise UnreadableSample("its 'tools' are not a list of functions")
    if not isinstance(options.get("chat_template_kwargs", {}), Mapping):
        raise UnreadableSample("its 'chat_template_kwargs' are not an object")
    return options


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": conversation(row.get("messages"))}


def _conversations(row: Row) -> dict[str, Any]:
    """ShareGPT's turns; a text under `system` is their first turn where they have none."""
    messages = conversation(row.get("conversations"))
    system = row.get("system")
    if isinstance(system, str) and system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages}


def _prompt_completion(row: Row) -> dict[str, Any]:
    prompt = row.get("prompt")
    completion = row.get("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        return {"prompt": conversation(prompt), "completion": conversation(completion)}
    return {"prompt": _text(row, "prompt"), "completion": _text(row, "completion")}


def _pair(prompt: str, completion: str, extra: str | None = None) -> Callable[[Row], dict[str, Any]]:
    """Rows of two texts; a third, where there is one, follows the first after a blank line."""

    def read(row: Row) -> dict[str, Any]:
        text = _text(row, prompt)
        more = _optional_text(row, extra) if extra else ""
        return {"prompt": f"{text}\n\n{more}" if more else text, "completion": _text(row, completion)}

    return read


def _instruction_chat(row: Row) -> dict[str, Any]:
    """LLaMA-Factory's reading of Alpaca: system, the turns of history, instruction and input on two lines, output."""
    system = _optional_text(row, "system")
    question = "\n".join(filter(None, (_text(row, "instruction"), _optional_text(row, "input"))))
    turns = [("system", system)] if system else []
    for pair in turns_of(row.get("history"), "history") if row.get("history") else []:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise UnreadableSample("its 'history' is not a list of pairs of a question and an answer")
        turns += [("user", pair[0]), ("assistant", pair[1])]
    turns += [("user", question), ("assistant", _text(row, "output"))]
    return {"messages": conversation([{"role": role, "content": text} for role, text in turns])}


def _optional_text(row: Row, column: str) -> str:
    return _text(row, column) if row.get(column) else ""


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise UnreadableSample(f"its {column!r} is not a text")
    return value


# The columns that tell a shape, the further fields that it uses, and how its rows are read; the first that fits counts.
SHAPES: dict[str, tuple[frozenset[str], frozenset[str], Callable[[Row], dict[str, Any]]]] = {
    "messages": (frozenset({"messages"}), frozenset(), _messages),
    "conversations": (frozenset({"conversations"}), frozenset({"system"}), _conversations),
    "prompt_completion": (frozenset({"prompt", "completion"}), frozenset(), _prompt_completion),
    "instruction": (
        frozenset({"instruction", "output"}),
        frozenset({"input"}),
        _pair("instruction", "output", "input"),
    ),
    "instruction_response": (
        frozenset({"instruction", "response"}),
        frozenset({"context"}),
        _pair("instruction", "response", "context"),
    ),
    "question_answer": (frozenset({"question", "answer"}), frozenset(), _pair("question", "answer")),
    "prompt_response": (frozenset({"prompt", "response"}), frozenset(), _pair("prompt", "response")),
    "input_output": (frozenset({"input", "output"}), frozenset({"input"}), _pair("input", "output")),
    "instruction_chat": (
        frozenset({"instruction", "output"}),
        frozenset({"input", "system", "history"}),
        _instruction_chat,
    ),
}

LABELLED = frozenset({"question_answer", "prompt_response", "input_output"})
"""Shapes that are rows for a classifier where they have a label."""
