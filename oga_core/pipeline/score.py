"""One run from start to end: the gradient pass in a worker, then scores, then the map, written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from oga_core.files import full_path
from oga_core.map.projection import warm_up
from oga_core.pipeline.option_checks import check_options
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.recording import Recorded, begin, timed
from oga_core.pipeline.request import PassRequest, data_options
from oga_core.pipeline.results import write_scored
from oga_core.pipeline.worker_pass import take_pass
from oga_core.review.carrying import carry
from oga_core.runs.folder import RunFolder
from oga_core.runs.lock import only_scoring
from oga_core.worker.stages import Progress


def score(
    data: Path | str,
    model: Path | str | None,
    run_path: Path | str,
    options: ScoreOptions,
    progress: Progress = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    overwrite: bool = False,
    previous: Path | None = None,
) -> RunFolder:
    """Score every sample of `data` with `model` into the run folder; `model` is None for a bundle of outputs.

    A run that was interrupted continues where it stopped when the inputs and options are the same.
    overwrite: whether the run of other data in the folder is removed, with its decisions. previous: an earlier run
    whose decisions are carried over to the samples that are still the same, before the map is drawn.
    Raises `OgaError` for anything that the person can correct; run.json then says so too.
    """
    data = Path(data)
    model = None if model is None else Path(model)
    check_options(data, model, options)
    earlier = RunFolder.open(previous) if previous else None
    run = RunFolder.create(Path(run_path))
    with only_scoring(run.path, full_path(data), overwrite=overwrite), Recorded(run, cancelled):
        begin(run, {"path": full_path(data), "options": data_options(options)}, model, options)
        request = PassRequest.of(data, model, run.path, options)
        timed(run, lambda: _score(run, request, options, progress, cancelled, lambda: carry(run, earlier)))
    return run


def _score(
    run: RunFolder,
    request: PassRequest,
    options: ScoreOptions,
    progress: Progress,
    cancelled: Callable[[], bool],
    when_scored: Callable[[], None],
) -> None:
    if options.map == "umap":
        # Compiling UMAP takes longer than fitting it; the worker needs this time for the gradients.
        threading.Thread(target=warm_up, daemon=True).start()
    record = take_pass(request, progress, cancelled)
    write_scored(run, record, options, progress, when_scored)
