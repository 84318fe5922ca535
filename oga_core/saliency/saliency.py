"""What in a sample the loss reacts to: gradient × input, computed in a worker and kept in the run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.models import files_of
from oga_core.models.factory import OWN_CODE
from oga_core.runs.folder import RunFolder
from oga_core.runs.side_files import read_object
from oga_core.worker.stages import Progress
from oga_core.worker.supervisor import run_job


def explain(
    run: RunFolder, rows: Sequence[int], *, progress: Progress = lambda event: None
) -> dict[int, dict[str, Any]]:
    """Return the saliency of the samples at `rows` (positions in the run's table), computing those that are missing.

    Images: {"pixels": rows of numbers}, the sum over channels of gradient × input, scaled to -1 … 1. Text: {"spans":
    [[start, end, weight], …]} of characters, "pair_spans" of a second text, each weight over the largest of a token;
    "sum" of all tokens before that, "outside" of those that are not in the text, and "largest". Rows of a language
    model: {"gradient_norms": a number for each trained token}. Tables: {"columns": {name: weight}}. Positive raises
    the loss on the given label. A sample that cannot be explained is left out.
    Simonyan et al. 2014 (arXiv 1312.6034), Shrikumar et al. 2016 (arXiv 1605.01713).
    Raises `OgaError` for runs without a model: bundles of outputs have no inputs to differentiate.
    """
    folder = run.path / "saliency"
    missing = [int(row) for row in rows if stored(run, row) is None]
    if missing:
        for row, content in _compute(run, missing, progress).items():
            folder.mkdir(exist_ok=True)
            write_whole(_path(folder, int(row)), partial(_write, content=content))
    return {int(row): saliency for row in rows if (saliency := stored(run, row)) is not None}


def stored(run: RunFolder, row: int) -> dict[str, Any] | None:
    """The saliency of one sample where it has been computed already and is whole, else None."""
    try:
        content = read_object(_path(run.path / "saliency", row), "")
    except OgaError:
        return None
    return content if content is not None and _is_whole(content) else None


def _is_whole(content: dict[str, Any]) -> bool:
    """Whether the pixels are a picture of numbers and the spans triples of them."""
    try:
        pixels = np.asarray(content.get("pixels", [[0.0]]), dtype=np.float64)
        parts = [content.get(name, [[0, 0, 0.0]]) for name in ("spans", "pair_spans")]
        spans = np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1, 3) for part in parts])
        sums = np.array([float(content.get(name, 0.0)) for name in ("sum", "outside", "largest")])
    except (ValueError, TypeError, OverflowError):
        return False
    return pixels.ndim == 2 and all(bool(np.isfinite(part).all()) for part in (pixels, spans, sums))


def _compute(run: RunFolder, rows: Sequence[int], progress: Progress) -> dict[str, dict[str, Any]]:
    info = run.info
    if not info.model.path or info.model_format == "outputs":
        raise OgaError("This run was scored from a bundle of outputs. Give the model itself to see what it looks at.")
    if info.options.get("model_factory"):
        raise OgaError(OWN_CODE)
    card = info.options.get("model_card")
    arguments: dict[str, Any] = {
        "data": info.data.path,
        "data_options": info.data.options,
        "ids": run.ids[np.asarray(rows, dtype=np.int64)].tolist(),
        "model": info.model.path,
        "model_card": Path(card).read_text(encoding="utf-8") if card else None,
        "trained_on": info.options.get("trained_on"),
        "parameters": info.options.get("parameters", "auto"),
    }
    labels = info.data.options.get("labels")
    readable = [arguments["data"], *([labels] if labels else []), *files_of(Path(arguments["model"]))]
    contents = run_job("saliency", arguments, progress=progress, readable=readable)["samples"]
    return {
        str(row): contents[sample_id]
        for row, sample_id in zip(rows, arguments["ids"], strict=True)
        if sample_id in contents
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def _path(folder: Path, row: int) -> Path:
    return folder / f"{int(row)}.json"
