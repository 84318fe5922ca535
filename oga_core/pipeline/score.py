"""One run from start to end: the gradient pass in a worker, then scores, then the map, written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oga_core.files import full_path
from oga_core.pipeline.option_checks import check_options
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.recording import Recorded, begin, identified, timed
from oga_core.pipeline.request import PassRequest, data_options
from oga_core.pipeline.results import ScoredSamples, write_results
from oga_core.projection import warm_up
from oga_core.review.carrying import carry_over
from oga_core.runs.folder import RunFolder
from oga_core.runs.lock import only_scoring
from oga_core.worker.stages import Progress
from oga_core.worker.supervisor import run_job

# In these stages nothing says how far it is, and nothing should take long: a chat template may loop forever in them.
_QUIET_STAGES = (
    "starting",
    "read data",
    "read outputs",
    "load model",
    "read samples",
    "read rows",
    "read validation data",
)
_QUIET_SECONDS = 300.0
_SLOWEST_READING = 20e6  # bytes a second, of a network drive


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


def carry(run: RunFolder, earlier: RunFolder | None) -> None:
    """Carry the decisions of an earlier run over, where there is one, to the samples that are still the same."""
    if earlier is not None:
        run.update(previous=full_path(earlier.path), carried=carry_over(run, earlier).counts())


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


def take_pass(request: PassRequest, progress: Progress, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Take the gradient pass in a worker; return what belongs in run.json, by its names."""
    readable = request.readable()
    result = run_job(
        "score",
        asdict(request),
        progress=progress,
        cancelled=cancelled,
        readable=readable,
        writable=[Path(request.folder)],
        quiet_stages=_quiet_stages(readable),
        accelerator=False if request.pass_options["device"] == "cpu" else None,
    )
    result["warnings"] = [*result["jail"]["missing"], *result["warnings"]]
    data = {
        "path": request.data,
        "options": dict(request.data_options),
        "fingerprint": result.pop("data_fingerprint"),
        "format": result.pop("data_format"),
    }
    return {**result, "data": data}


def write_scored(
    run: RunFolder,
    record: dict[str, Any],
    options: ScoreOptions,
    progress: Progress,
    when_scored: Callable[[], None] = lambda: None,
) -> None:
    """Write the record of a pass, and scores, findings and map from the arrays that it left in the run folder."""
    run.update(**record, fingerprint=identified(record["data"]["fingerprint"], options))
    write_results(
        run,
        ScoredSamples.of(run),
        names=options.scores,
        map_method=options.map,
        seed=options.seed,
        n_checkpoints=len(options.checkpoints),
        has_validation=options.validation is not None,
        progress=progress,
        when_scored=when_scored,
    )


def _quiet_stages(files: Iterable[Path]) -> dict[str, float]:
    size = sum(path.stat().st_size for path in set(files) if path.is_file())
    return dict.fromkeys(_QUIET_STAGES, _QUIET_SECONDS + size / _SLOWEST_READING)
