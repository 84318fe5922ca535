"""Rows of language models as their trainers read them, with what the trainers must be told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.exports.decided import Decided, original_row
from oga_core.exports.language import require_language
from oga_core.exports.members import Member, write_members
from oga_core.readers.answers.preferences import preference
from oga_core.readers.answers.responses import turns_of

DATA_FILE = "train.jsonl"
_PROMPTS = {
    "completion": ("prompt",),
    "response": ("prompt", "instruction"),
    "output": ("instruction", "input"),
    "answer": ("question",),
}
"""For a column of responses the columns that may hold its prompt."""
PAIR = ("prompt", "chosen", "rejected")
Row = dict[str, Any]


def write_llama_factory(decided: Decided, out: Path, _: bool) -> Path:
    """Write a folder for LLaMA-Factory's `dataset_dir`: the rows, and `dataset_info.json` that names their columns."""
    return write_members(out, _members(decided, "dataset_info.json", _dataset_info))


def write_axolotl(decided: Decided, out: Path, _: bool) -> Path:
    """Write a folder for Axolotl: the rows, and `datasets.yaml` to put into the configuration of the training."""
    return write_members(out, _members(decided, "datasets.yaml", _axolotl_config))


def _members(decided: Decided, name: str, describe: Any) -> Iterator[Member]:
    require_language(decided.samples.modality)
    plain = _plain_pair if decided.samples.modality == "preference" else _plain
    rows = [plain(original_row(decided.final_row(i))) for i in decided.remaining.tolist()]
    if not rows:
        raise OgaError("Every row is removed, so there is nothing to train on.")
    yield DATA_FILE, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode()
    yield name, describe(rows[0], decided.samples.source.columns.get("text")).encode()


def _plain(row: Row) -> Row:
    """A row with its turns as lists, also where a table held them as JSON, and prompt and completion as one chat."""
    names = {name.strip().casefold(): name for name in row}
    for column in ("messages", "conversations"):
        if column in names:
            row = {**row, names[column]: turns_of(row[names[column]])}
    parts = [turns_of(row.get(names.get(column, ""))) for column in ("prompt", "completion")]
    if parts[0] is not None and parts[1] is not None:
        others = {name: value for name, value in row.items() if name not in (names["prompt"], names["completion"])}
        return {"messages": [*parts[0], *parts[1]], **others}
    return row


def _plain_pair(row: Row) -> Row:
    """A preference pair with a prompt of its own: three texts, or the turns before and one turn for each answer."""
    pair = preference(row)
    if isinstance(pair["prompt"], str):
        return {name: pair[name] for name in PAIR}
    answers = {name: pair[name] for name in PAIR[1:]}
    if any(len(turns) != 1 for turns in answers.values()):
        raise OgaError("An answer of several turns is no form that these trainers read. Export it as it came in.")
    return {"messages": pair["prompt"], **{name: turns[0] for name, turns in answers.items()}}


def _columns(row: Row, text_column: str | None) -> dict[str, str]:
    """Which column is what: messages, or prompt and response, or text; raises `OgaError` where none is known."""
    names = {name.strip().casefold(): name for name in row}
    if set(PAIR[1:]) <= names.keys():
        return {name: name for name in ("messages", *PAIR) if name in names}
    if text_column in names.values():
        return {"text": str(text_column)}
    for column in ("messages", "conversations"):
        if column in names:
            return {"messages": names[column]}
    for response, prompts in _PROMPTS.items():
        prompt = next((names[name] for name in prompts if name in names), None)
        if response in names and prompt is not None:
            extra = {"query": names["input"]} if "input" in names and prompt != names["input"] else {}
            return {"prompt": prompt, "response": names[response], **extra}
    if "text" in names:
        return {"text": names["text"]}
    raise OgaError(f"The columns {', '.join(row)} are no form that trainers read. Export the data set as it came in.")


def _dataset_info(row: Row, text_column: str | None) -> str:
    """The description that LLaMA-Factory's data/README.md asks for."""
    columns = _columns(row, text_column)
    names = {name.strip().casefold(): name for name in row}
    extra = {name: names[name] for name in ("system", "tools") if name in names}
    info: dict[str, Any] = {"file_name": DATA_FILE}
    if columns.keys() & set(PAIR[1:]):
        info["ranking"] = True
    if "messages" in columns:
        info["formatting"] = "sharegpt"
        info["columns"] = {**columns, **extra}
        info["tags"] = _tags(row[columns["messages"]])
    elif "text" in columns:
        info["columns"] = {"prompt": columns["text"]}
    else:
        history = [name for name in ("history",) if name in names]
        info["columns"] = {**columns, **extra, **{name: names[name] for name in history}}
    return json.dumps({"train": info}, indent=2, ensure_ascii=False) + "\n"


def _tags(turns: list[Mapping[str, Any]]) -> dict[str, str]:
    if "from" in turns[0]:
        users = {str(turn.get("from")) for turn in turns}
        return {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "user" if "user" in users else "human",
            "assistant_tag": "assistant" if "assistant" in users else "gpt",
            "system_tag": "system",
        }
    return {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }


def _axolotl_config(row: Row, text_column: str | None) -> str:
    """The part of a configuration that Axolotl's docs/dataset-formats ask for."""
    columns = _columns(row, text_column)
    if columns.keys() >= set(PAIR[1:]):
        return "rl: dpo\n" + _yaml_entry(_axolotl_pair(columns))
    entry: dict[str, Any] = {"path": DATA_FILE, "ds_type": "json"}
    if "messages" in columns:
        tags = _tags(row[columns["messages"]])
        entry |= {
            "type": "chat_template",
            "field_messages": columns["messages"],
            "message_property_mappings": {"role": tags["role_tag"], "content": tags["content_tag"]},
            "roles_to_train": ["assistant"],
            "train_on_eos": "turn",
        }
    elif "text" in columns:
        entry |= {"type": "completion", "field": columns["text"]}
    elif (columns["prompt"], columns["response"]) == ("instruction", "output"):
        entry["type"] = "alpaca"
    else:
        entry["type"] = {
            "field_instruction": columns["prompt"],
            "field_output": columns["response"],
            "format": "{instruction}",
            "no_input_format": "{instruction}",
        }
    return _yaml_entry(entry)


def _axolotl_pair(columns: Mapping[str, str]) -> dict[str, Any]:
    """The entry that Axolotl's docs/rlhf ask for: chat_template.default, or user_defined.default."""
    entry: dict[str, Any] = {"path": DATA_FILE, "ds_type": "json", "split": "train"}
    if "messages" not in columns:
        fields = {f"field_{name}": name for name in PAIR}
        formats = {f"{name}_format": f"{{{name}}}" for name in PAIR}
        return entry | {"type": fields | formats}
    return entry | {
        "type": "chat_template.default",
        "field_messages": "messages",
        **{f"field_{name}": name for name in PAIR[1:]},
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles": {name: [name] for name in ("user", "assistant", "system")},
    }


def _yaml_entry(entry: Mapping[str, Any]) -> str:
    return "datasets:\n  - " + "\n    ".join(yaml_lines(entry)) + "\n"


def yaml_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a mapping as lines of YAML; texts are quoted as in JSON, which YAML reads alike."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in yaml_lines(value))
        else:
            yield f"{name}: {json.dumps(value, ensure_ascii=False)}"
