"""The worker's part: it opens the data, and shows samples as they are asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_core.errors import OgaError
from oga_core.numerics import slices
from oga_core.previews.content import Preview
from oga_core.previews.drawing import found, preview
from oga_core.samples import SampleSet
from oga_core.worker.requests import requests
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.readers.tables.indexed import SeenRows
    from oga_core.runs.folder import RunFolder
    from oga_core.tasks.causal_lm import CausalLMTask


def serve(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Answer requests until the parent ends.

    {"rows": positions in the run's table, "side": pixels}: one preview a row. {"find": text, "at_once": samples}: one
    answer for each so many samples, with the positions of those that hold the text.
    {"tokens": positions}: what of each row a language model is trained on.
    arguments: run, the folder of a scored run. Raises `OgaError` where its data is gone or has changed.
    """
    from oga_core.runs.folder import RunFolder

    progress({"stage": "reading the data"})
    run = RunFolder(Path(arguments["run"]))
    samples = run.seen
    if run.info.modality == "causal_lm":
        with contextlib.suppress(OgaError):  # said again to who asks for tokens
            _task_of(run)  # within the time for a start: the tokenizer's libraries take seconds
    progress({"stage": "showing samples", "answer": {}})
    for request in requests():
        if "tokens" in request:
            for answer in _tokens(run, request["tokens"]):
                progress({"answer": answer})
            continue
        if "find" in request:
            for part in slices(len(samples), request["at_once"]):
                rows = range(*part.indices(len(samples)))
                progress({"answer": {"rows": found(samples, rows, request["find"])}})
            continue
        for row in request["rows"]:
            progress({"answer": asdict(_preview(run, samples, row, request["side"]))})
    return {}


def _preview(run: RunFolder, samples: SampleSet | SeenRows, row: int, side: int) -> Preview:
    if not isinstance(samples, SampleSet) or samples.masks is None:
        return preview(samples, row, side)
    from oga_core.previews.masks import masked_preview  # few runs have them

    return masked_preview(samples, row, side, run)


def _tokens(run: RunFolder, rows: list[int]) -> Iterator[dict[str, Any]]:
    from oga_core.previews.tokens import row_tokens, unshown  # which takes torch, and pictures do not need it

    for row in rows:
        try:
            yield row_tokens(_task_of(run), run.samples, row)
        except OgaError as error:
            yield unshown(str(error))


@functools.cache
def _task_of(run: RunFolder) -> CausalLMTask:
    from oga_core.previews.tokens import task_of

    return task_of(run.info)
