"""`oga score --plan`: what a run will take, before anything of it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_app.background.progress import between, gigabytes
from oga_app.commands.workers import workers_of
from oga_core.errors import OgaError

if TYPE_CHECKING:
    from oga_core.costs.plan import Plan
    from oga_core.pipeline.options import ScoreOptions


def show_plan(options: argparse.Namespace, choices: ScoreOptions) -> dict[str, Any]:
    """Print the stages with time, memory and disk, or return them as JSON where that is asked for."""
    result = planned(options.data, options.model, choices, workers=workers_of(options))
    if options.json:
        return result.as_json()
    print("\n".join(lines(result)))
    return {}


def planned(data: Path, model: Path | None, choices: ScoreOptions, *, workers: int) -> Plan:
    """Try a few samples in a worker, and return what all will take. Raises `OgaError`, also where the model fails."""
    from oga_core.costs.measured import Measured
    from oga_core.costs.plan import plan
    from oga_core.pipeline.option_checks import check_options
    from oga_core.pipeline.request import PassRequest
    from oga_core.previews.reader import try_some

    check_options(data, model, choices)
    trial = try_some(PassRequest.of(data, model, data.parent, choices))
    failures = [check["message"] for check in trial["checks"] if check["level"] == "failure"]
    if failures and not choices.force:
        raise OgaError(" ".join(failures))
    return plan(Measured.from_json(trial), choices, workers=workers)


def lines(result: Plan) -> list[str]:
    """The plan as a table for a person."""
    rows = [("stage", "time", "memory", "disk")]
    rows += [(stage.name, *_cells(stage)) for stage in result.stages]
    rows.append(("all", *_cells(result)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    workers = f", {result.workers:,} workers" if result.workers > 1 else ""
    return [f"{result.n_samples:,} samples on {result.device}{workers}; nothing was scored.", *table, *result.notes]


def _cells(part: Any) -> tuple[str, str, str]:
    return between(*part.seconds), gigabytes(*part.memory_mb), gigabytes(part.disk_mb, part.disk_mb)
