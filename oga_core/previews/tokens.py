"""The worker's part of showing what a language model is trained on: some rows token by token, and counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.huggingface.tokens import tokenizer_and_card
from oga_core.numerics import evenly_spaced
from oga_core.readers import read_samples
from oga_core.runs.info import RunInfo
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.causal_lm import CausalLMTask
from oga_core.tasks.language.view import shown_tokens
from oga_core.worker.stages import Progress

COUNTED_ROWS = 1_000
"""Rows that are counted, spread evenly; more than a second or two is too long where a person waits."""


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the number of rows, `rows` token by token, and `counts`, the fields of `TrainedInput` for some rows.

    arguments: of a `TokenRequest`. Raises `OgaError` for data and models of another kind.
    """
    samples = read_samples(Path(arguments["data"]), **arguments["options"])
    if samples.modality != "causal_lm":
        raise OgaError(f"The data reads as {samples.modality}, and tokens are shown of rows for a language model.")
    task = _task(Path(arguments["model"]), arguments["model_card"], arguments["trained_on"])
    counted = samples.take(evenly_spaced(np.arange(len(samples)), COUNTED_ROWS))
    rows = [row for row in arguments["rows"] if row < len(samples)]
    return {
        "n_samples": len(samples),
        "rows": [row_tokens(task, samples, row) for row in rows],
        "counts": task.survey(counted, progress),
    }


def task_of(info: RunInfo) -> CausalLMTask:
    """Return what made the tokens of a run; raises `OgaError` where its model is not there to be asked."""
    if info.model.path is None or not Path(info.model.path).exists():
        raise OgaError("The model of this run is not where it was, so its tokens cannot be shown.")
    card = info.options.get("model_card")
    text = Path(card).read_text(encoding="utf-8") if card and Path(card).is_file() else None
    return _task(Path(info.model.path), text, info.options.get("trained_on"))


def row_tokens(task: CausalLMTask, samples: SampleSet, row: int) -> dict[str, Any]:
    """Return a row's place and id, its tokens, the remarks on it, and where it cannot be read, why."""
    name = {"row": row, "id": str(samples.ids[row])}
    try:
        tokens = task.reader(samples.inputs[row])
    except UnreadableSample as error:
        return unshown(str(error)) | name
    return {
        **name,
        "tokens": shown_tokens(task.tokenizer, tokens, task.max_length),
        "n_tokens": len(tokens.ids),
        "remarks": sorted(tokens.remarks),
        "unreadable": "",
    }


def unshown(reason: str) -> dict[str, Any]:
    """Return what stands for the tokens of a row that cannot be shown."""
    return {"tokens": [], "n_tokens": 0, "remarks": [], "unreadable": reason}


def _task(model: Path, card: str | None, trained_on: str | None) -> CausalLMTask:
    tokenizer, read = tokenizer_and_card(model, ModelCard.from_json(card, "given") if card else None)
    return CausalLMTask.from_card(read.with_trained_on(trained_on), tokenizer)
