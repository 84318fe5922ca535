"""The gradient pass of one shard, into its own folder of the run: no locks, and nothing that others write to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from oga_core.files import full_path, scratch_folder
from oga_core.gradients.batches import Shard
from oga_core.pipeline.option_checks import check_options
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import PassRequest
from oga_core.pipeline.worker_pass import take_pass
from oga_core.runs.folder import RunFolder
from oga_core.runs.lock import refuse_other
from oga_core.shards.marker import MARKER, Marker, markers, publish, shard_folder
from oga_core.shards.placement import given_up_in
from oga_core.worker.stages import Progress


def score_shard(
    data: Path | str,
    model: Path | str | None,
    run_path: Path | str,
    options: ScoreOptions,
    shard: Shard,
    progress: Progress = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    threads: int | None = None,
) -> Path:
    """Take the gradient pass over one shard of `data`; return the marker that says it is done.

    The work is done in a folder of this process among the system's temporary files, whose files are then copied whole:
    a shard that was killed has no marker, and two processes on one shard write the same. A shard that is done is not
    done again where data, model and options are the same. Raises `OgaError` for anything that the person can correct.
    threads: of the processor; results can differ in the last bit where shards are not given the same number.
    """
    data_path = Path(data)
    model_path = None if model is None else Path(model)
    check_options(data_path, model_path, options)
    run = RunFolder.create(Path(run_path))
    refuse_other(run.path, full_path(data_path))
    folder = shard_folder(run.path, shard)
    with scratch_folder("oga-shard") as scratch:
        _fetch(folder, scratch)
        given_up = set().union(*(given_up_in(place) for place, _ in markers(run.path)))
        request = PassRequest.of(
            data_path, model_path, scratch, options, shard=shard, given_up=given_up, threads=threads
        )
        record = take_pass(request, progress, cancelled)
        publish(scratch, folder, Marker(shard, asdict(options), request.model, record))
    return folder / MARKER


def _fetch(folder: Path, scratch: Path) -> None:
    """Copy a finished shard, so that its pass need not be taken again where nothing has changed."""
    if (folder / MARKER).is_file():
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        (scratch / MARKER).unlink()
