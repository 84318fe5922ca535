"""The worker's part of an export: it reads the run's data, and writes them again where it was told to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from oga_core.errors import unknown
from oga_core.exports import EXPORTS
from oga_core.exports.decided import Decided, names_in_data
from oga_core.readers import read_samples
from oga_core.review.changes import edits_of
from oga_core.review.decisions import Decision
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.worker.stages import Progress


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write the export; arguments: run, format, out, spreadsheet_safe, score, trim_fraction, decisions, apply, ids.

    decisions: the fields of each `Decision` that is applied.
    Raises `OgaError` for what cannot be written in the format.
    """
    progress({"stage": "reading the data"})
    decisions = {made.sample_id: made for made in map(_decision, arguments["decisions"])}
    decided = decided_run(
        RunFolder(Path(arguments["run"])), decisions, arguments["score"], arguments["trim_fraction"], progress
    )
    ids = arguments["ids"]
    decided = replace(decided, apply=arguments["apply"], ids=None if ids is None else frozenset(ids))
    progress({"stage": "writing"})
    write = EXPORTS[arguments["format"]].write
    if isinstance(write, str):
        module, function = write.split(":")
        write = getattr(import_module(module), function)
    write(decided, Path(arguments["out"]), arguments["spreadsheet_safe"])
    return {}


def _decision(fields: Mapping[str, Any]) -> Decision:
    """A decision as it came through JSON, which knows lists alone."""
    return Decision(**{**fields, "edit": tuple((place, text) for place, text in fields["edit"])})


def decided_run(
    run: RunFolder,
    decisions: Mapping[str, Decision],
    score: str | None = None,
    trim_fraction: float | None = None,
    progress: Progress = lambda event: None,
) -> Decided:
    """Read a run's samples and scores; None stands for the run's own score and suggestion."""
    scored = ScoredRun(run.path)
    if score is not None and score not in scored.scores:
        raise unknown("score", score, scored.scores)
    method = score or scored.default_score
    samples = run.samples
    data = scored.info.data
    return Decided(
        samples=samples,
        table=scored.table,
        decisions=decisions,
        edits=edits_of(decisions, samples, names_in_data(read_samples(data.path, **data.options), samples)),
        method=method,
        ranked=scored.ranked(method),
        trim_fraction=scored.trim_fraction(trim_fraction),
        label_column=data.options.get("label_column"),
        beliefs=scored.beliefs,
        progress=progress,
        run=run,
    )
