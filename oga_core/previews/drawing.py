"""The worker's part: it makes of a sample what can be seen of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oga_core.previews.content import Preview
from oga_core.readers import preview_image
from oga_core.readers.answers.responses import responses
from oga_core.readers.image_data import reduced_to
from oga_core.readers.tables.content import LazyRows
from oga_core.readers.tables.indexed import SeenRows
from oga_core.readers.tables.tagged import Sentence
from oga_core.readers.turns import words
from oga_core.samples import SampleSet, UnreadableSample

_SMALL = 64
_LONG = 4000
_MOST_EDITED = 50_000  # characters of a row's responses; longer ones are not edited in a field of a page
_MAX_FIELDS = 60


def preview(samples: SampleSet | SeenRows, row: int, side: int) -> Preview:
    """Return what can be seen of one sample; images are reduced to `side` pixels."""
    try:
        with reduced_to(side):
            content = samples.inputs[row]
    except (UnreadableSample, OSError, ValueError) as error:
        return Preview(unreadable=f"This sample cannot be read: {error}")
    if samples.modality == "image":
        further = samples.source.further(samples.rows[row])  # a model may read them with the image
        return replace(picture(preview_image(content), side), fields=as_fields(further))
    if samples.modality in ("causal_lm", "preference"):
        return _language(samples, row, content)
    if isinstance(content, Sentence):
        return Preview(text=str(content), words=content.words)
    if isinstance(content, str):
        return Preview(text=content)
    if isinstance(content, (tuple, list)) and all(isinstance(part, str) for part in content):
        return Preview(text=content[0], text_pair=content[1] if len(content) > 1 else None)
    fields = samples.rows[row] if samples.modality in ("outputs", "tabular") else content
    return Preview(fields=as_fields(fields)) if isinstance(fields, Mapping) else Preview(text=cut(str(content)))


def _language(samples: SampleSet | SeenRows, row: int, content: Any) -> Preview:
    """A row for a language model: its conversation, or its prompt and the two answers; and what may be edited."""
    original = samples.rows[row]
    texts = tuple(responses(original, samples.source.columns.get("text")).items())
    editable = texts if sum(len(text) for _, text in texts) <= _MOST_EDITED else ()
    if samples.modality == "causal_lm":
        return Preview(messages=conversation(original, content), responses=editable)
    pair = tuple((name, written(content[name])) for name in ("chosen", "rejected"))
    prompt = content["prompt"]
    turns = (("prompt", prompt),) if isinstance(prompt, str) else conversation({"messages": prompt}, content)
    return Preview(messages=turns if prompt else (), pair=pair, responses=editable)


def written(answer: str | Sequence[Mapping[str, Any]]) -> str:
    """An answer as text: of several turns each after its role."""
    if isinstance(answer, str):
        return answer
    texts = [str(turn.get("content") or turn.get("tool_calls") or "") for turn in answer]
    if len(texts) == 1:
        return texts[0]
    return "\n\n".join(f"{turn.get('role')}: {text}" for turn, text in zip(answer, texts, strict=True))


def picture(image: Any, side: int) -> Preview:
    """Turn a `PIL.Image` into a data address: PNG for small images, JPEG for photographs."""
    small = max(image.size) <= _SMALL
    image = image.convert("RGB" if image.mode not in ("L", "RGB") else image.mode)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    kind = "png" if small else "jpeg"
    image.save(buffer, kind.upper(), **({} if small else {"quality": 82}))
    address = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Preview(image=address, pixelated=small)


def conversation(row: Mapping[str, Any], content: Any) -> tuple[tuple[str, str], ...]:
    """The messages of a language-model row, as (role, text); of a turn that calls tools with the calls as JSON."""
    if isinstance(content, Mapping):
        prompt = content.get("prompt")
        parts = [*prompt, *content.get("completion", ())] if isinstance(prompt, list) else []
        turns = content.get("messages") or parts
        if turns:
            return tuple((turn["role"], _said(turn)) for turn in turns)
    pairs = (("prompt", "completion"), ("instruction", "output"), ("question", "answer"), ("prompt", "chosen"))
    for question, answer in pairs:
        if question in row and answer in row:
            middle = (("input", str(row["input"])),) if row.get("input") else ()
            return ((question, str(row[question])), *middle, (answer, str(row[answer])))
    if isinstance(content, Mapping):
        return tuple((str(name), cut(str(value))) for name, value in content.items())
    return (("text", str(row.get("text", content))),)


def _said(turn: Mapping[str, Any]) -> str:
    calls = [json.dumps(call.get("function", call), ensure_ascii=False) for call in turn.get("tool_calls") or ()]
    return "\n".join(filter(None, (words(turn), *calls)))


def as_fields(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values of a row, long values cut."""
    return tuple((str(name), cut(str(value), 300)) for name, value in list(row.items())[:_MAX_FIELDS])


def cut(text: str, length: int = _LONG) -> str:
    """At most `length` characters, with an ellipsis where something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def found(samples: SampleSet | SeenRows, rows: range, text: str) -> list[int]:
    """Those of `rows` whose original row holds `text` in a value, whatever its case; bytes are not looked at."""
    wanted = text.casefold()
    likely = samples.rows.may_hold(text, rows) if isinstance(samples.rows, LazyRows) else rows
    return [row for row in likely if any(wanted in value.casefold() for value in _texts(samples.rows[row]))]


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a value, however deep."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)
    elif not isinstance(value, bytes):
        yield str(value)
