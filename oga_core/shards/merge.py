"""All shards of a run into one: arrays, tables and record as a pass over all samples leaves them, then the scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.batches import stop_above_share
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.recording import Recorded, begin, timed
from oga_core.pipeline.results import write_scored
from oga_core.review.carrying import carry
from oga_core.runs.folder import SHARDS, RunFolder
from oga_core.runs.lock import only_scoring
from oga_core.shards.agreement import complete_shards
from oga_core.shards.arrays import join_arrays, join_progress
from oga_core.shards.damage import check_rows
from oga_core.shards.marker import Marker
from oga_core.shards.placement import Placement
from oga_core.shards.records import joined_record
from oga_core.shards.tables import join_tables
from oga_core.worker.stages import Progress


def merge(
    run_path: Path | str,
    progress: Progress = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    previous: Path | None = None,
) -> RunFolder:
    """Join the finished shards of a run and score it; the shards are removed when it is done.

    What is merged equals, to the last bit, what one process writes with the same batches. previous: an earlier run
    whose decisions are carried over. Raises `OgaError` where shards are missing or do not belong together.
    """
    path = Path(run_path)
    shards = complete_shards(path)
    first = shards[0][1]
    options = ScoreOptions.from_json(first.options)
    earlier = RunFolder.open(previous) if previous else None
    run = RunFolder.create(path)
    data = first.record["data"]
    with only_scoring(run.path, data["path"]), Recorded(run, cancelled):
        begin(run, data, Path(first.model) if first.model else None, options)
        timed(run, lambda: _merge(run, shards, options, progress, lambda: carry(run, earlier)))
    shutil.rmtree(run.path / SHARDS, ignore_errors=True)
    return run


def _merge(
    run: RunFolder,
    shards: Sequence[tuple[Path, Marker]],
    options: ScoreOptions,
    progress: Progress,
    when_scored: Callable[[], None],
) -> None:
    progress({"stage": "merge shards"})
    folders = [folder for folder, _ in shards]
    records = [marker.record for _, marker in shards]
    placement = Placement.of(folders)
    check_rows(shards)
    stop_above_share(placement.problems, placement.n_samples)
    join_arrays(folders, placement, run.arrays)
    join_progress(folders, placement, run.arrays, records[0]["pass_fingerprint"])
    join_tables(folders, placement.rows, run.path)
    _join_further(folders, placement, run.path)
    record = joined_record(records, placement, GradientSketch.load(run.arrays))
    write_scored(run, record, options, progress, when_scored)


def _join_further(folders: Sequence[Path], placement: Placement, target: Path) -> None:
    """Join the arrays of the checkpoints, and copy those of the validation data, of which the first took the pass."""
    for path in sorted(folders[0].iterdir()):
        if path.name.startswith("validation"):
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        elif path.name.startswith("checkpoint_"):
            join_arrays(folders, placement, target / path.name, name=path.name)
