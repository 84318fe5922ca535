"""Queries as rows of the run's own kind, and the texts of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.samples import SampleSet, UnreadableSample

_PAIRS = (
    *(("prompt", "completion"), ("instruction", "output"), ("instruction", "response"), ("question", "answer")),
    *(("prompt", "response"), ("input", "output")),
)
_NO_WORDS = {"role", "ignored", "tools", "chat_template_kwargs"}
"""Parts of a row's content that nobody said."""


def row_like(row: Mapping[str, Any], prompt: str, response: str) -> dict[str, Any]:
    """Return prompt and response as a row with the columns of `row`, so that the model meets them as it was trained."""
    names = {str(name).strip().casefold() for name in row}
    if "messages" in names:
        return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]}
    if "conversations" in names:
        return {"conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": response}]}
    question, answer = next((pair for pair in _PAIRS if set(pair) <= names), _PAIRS[0])
    return {question: prompt, answer: response}


def query_samples(rows: Sequence[Mapping[str, Any]]) -> SampleSet:
    """Return the rows as samples, read as a file of them would be. Raises `OgaError`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "query.jsonl"
        path.write_text("".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        samples = read_samples(path, modality="causal_lm")
        try:
            return replace(samples, inputs=list(samples.inputs), rows=list(samples.rows))
        except UnreadableSample as error:
            raise OgaError(f"The question cannot be read: {error}.") from None


def text_of(content: Any) -> str:
    """All text of a row's content: prompt and response, or what each message says."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return " ".join(text_of(value) for name, value in content.items() if name not in _NO_WORDS)
    if isinstance(content, Sequence):
        return " ".join(map(text_of, content))
    return ""
