"""One run from start to end: the gradient pass in a worker, then scores, then the map, written as they come."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.files import disk_error
from oga_core.findings.diagnosis import Diagnosis, diagnose
from oga_core.gradient_sketch import GradientSketch
from oga_core.models import files_of
from oga_core.models.card import ModelCard
from oga_core.models.factory import ModelFactory
from oga_core.pipeline.options import ScoreOptions, check_options
from oga_core.projection import project, warm_up
from oga_core.runs.folder import SCORE_PREFIX, RunFolder
from oga_core.scores import SCORES, compute_scores, default_score
from oga_core.worker.stages import Progress
from oga_core.worker.supervisor import run_job

# In these stages nothing says how far it is, and nothing should take long: a chat template may loop forever in them.
_QUIET_STAGES = ("starting", "read data", "read outputs", "load model", "read samples", "read validation data")
_QUIET_SECONDS, _SLOWEST_READING = 300.0, 20e6


def score(
    data: Path,
    model: Path | None,
    run_path: Path,
    options: ScoreOptions,
    progress: Progress = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> RunFolder:
    """Score every sample of `data` with `model` into the run folder; `model` is None for a bundle of outputs.

    A run that was interrupted continues where it stopped when the inputs and options are the same.
    Raises `OgaError` for anything that the person can correct; run.json then says so too.
    """
    check_options(data, model, options)
    run = RunFolder.create(run_path)
    start = time.perf_counter()
    try:
        _begin(run, data, model, options)
        _score(run, data, model, options, progress, cancelled)
    except BaseException as error:
        told = disk_error(error, run.path) or error
        status = "cancelled" if cancelled() or isinstance(error, KeyboardInterrupt) else "failed"
        run.end(status, _message(told), **getattr(told, "detail", {}))
        if told is error:
            raise
        raise told from error
    run.update(seconds={**run.info["seconds"], "total": round(time.perf_counter() - start, 3)})
    return run


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Cancelled. What was finished is kept: start the same run again to go on."
    return str(error) if isinstance(error, OgaError) else f"{type(error).__name__}: {error}"


def _score(
    run: RunFolder,
    data: Path,
    model: Path | None,
    options: ScoreOptions,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> None:
    if options.map == "umap":
        # Compiling UMAP takes longer than fitting it; the worker needs this time for the gradients.
        threading.Thread(target=warm_up, daemon=True).start()
    result = _gradients(run, data, model, options, progress, cancelled)
    run.update(**_run_fields(data, result, options))
    sketch = run.gradient_sketch()
    progress({"stage": "scores"})
    scores, each = _scores(run, sketch, options, progress)
    table = _table(run, sketch, scores)
    np.save(run.path / "sketch.npy", sketch.sketch, allow_pickle=False)
    chosen = default_score(list(scores))
    start = time.perf_counter()
    diagnosis = _diagnosis(run, sketch, table, scores, options)
    seconds = {
        **result["seconds"],
        "scores": round(sum(each.values()), 3),
        "findings": round(time.perf_counter() - start, 3),
        "each_score": each,
    }
    run.write_table(table.assign(**diagnosis.columns, map_x=np.nan, map_y=np.nan))
    fields = {**diagnosis.fields, "warnings": [*result["warnings"], *diagnosis.fields["warnings"]]}
    run.update(status="done", default_score=chosen, seconds=seconds, map="none", **fields)
    if options.map != "none":
        progress({"stage": "map"})
        draw_map(run, "pca")
    if options.map == "umap":
        draw_map(run, "umap", seed=options.seed)


def draw_map(run: RunFolder, method: str, *, seed: int = 0) -> None:
    """Place the samples of a scored run on a 2-D map and write it into the run's table."""
    start = time.perf_counter()
    sketch = np.load(run.path / "sketch.npy", mmap_mode="r", allow_pickle=False)
    positions = project(sketch, method=method, seed=seed)
    run.write_table(run.table.assign(map_x=positions[:, 0], map_y=positions[:, 1]))
    run.update(map=method, seconds={**run.info["seconds"], f"map_{method}": round(time.perf_counter() - start, 3)})


def _begin(run: RunFolder, data: Path, model: Path | None, options: ScoreOptions) -> None:
    run.update(
        status="running",
        error=None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        process=os.getpid(),
        versions={name: version(name) for name in ("oga", "torch", "numpy", "scikit-learn", "umap-learn")},
        python=platform.python_version(),
        data={"path": _named(data), "options": _data_options(options)},
        model={"path": _named(model) if model else None},
        options=asdict(options),
    )


def _gradients(
    run: RunFolder,
    data: Path,
    model: Path | None,
    options: ScoreOptions,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    factory = ModelFactory.named(options.model_factory) if options.model_factory else None
    arguments = {
        "data": _named(data),
        "data_options": _data_options(options),
        "model": _named(model) if model else None,
        "model_card": _read_card(options.model_card),
        "model_factory": asdict(factory) if factory else None,
        "folder": str(run.path.resolve()),
        "pass_options": {
            "parameters": options.parameters,
            "seed": options.seed,
            "device": options.device,
            "precision": options.precision,
            "batch_size": options.batch_size,
            "views": _wants_views(options),
            "exact_l1": "l1_norm_all" in options.scores,
        },
        "force": options.force,
        "needs": {name: list(SCORES[name].needs) for name in options.scores},
        "validation": _named(options.validation) if options.validation else None,
        "checkpoints": [_named(path) for path in options.checkpoints],
    }
    inputs = [data, options.labels, options.validation, *options.checkpoints]
    readable = [Path(path) for path in inputs if path is not None] + (files_of(Path(_named(model))) if model else [])
    readable += [Path(factory.folder)] if factory else []
    return run_job(
        "score",
        arguments,
        progress=progress,
        cancelled=cancelled,
        readable=readable,
        writable=[run.path.resolve()],
        quiet_stages=_quiet_stages(readable),
    )


def _named(path: Path | str) -> str:
    """The full path of what the person named.

    A linked file keeps its own name, since what it leads to, as in the hub's cache, may have one that tells no format.
    """
    path = Path(path)
    return str(path.resolve() if path.is_dir() else path.parent.resolve() / path.name)


def _quiet_stages(files: Iterable[Path]) -> dict[str, float]:
    size = sum(path.stat().st_size for path in set(files) if path.is_file())
    return dict.fromkeys(_QUIET_STAGES, _QUIET_SECONDS + size / _SLOWEST_READING)


def _data_options(options: ScoreOptions) -> dict[str, Any]:
    names = ("label_column", "id_column", "text_column", "modality", "max_samples")
    return {
        "labels": _named(options.labels) if options.labels else None,
        **{name: getattr(options, name) for name in names},
    }


def _read_card(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OgaError(f"The model card {path!r} cannot be read: {error}.") from None
    ModelCard.from_json(text, Path(path).name)
    return text


def _wants_views(options: ScoreOptions) -> bool:
    return not options.scores or any(name in {"oga", "view_margin"} for name in options.scores)


def _run_fields(data: Path, result: dict[str, Any], options: ScoreOptions) -> dict[str, Any]:
    fields = {name: value for name, value in result.items() if name not in ("data_fingerprint", "data_format")}
    described = {
        "path": _named(data),
        "options": _data_options(options),
        "fingerprint": result["data_fingerprint"],
        "format": result["data_format"],
    }
    identity = json.dumps([result["data_fingerprint"], asdict(options)], sort_keys=True)
    return {**fields, "data": described, "fingerprint": blake2b(identity.encode(), digest_size=16).hexdigest()}


def _scores(
    run: RunFolder, sketch: GradientSketch, options: ScoreOptions, progress: Progress
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    def checkpoints(name: str) -> list[GradientSketch]:
        folders = sorted(run.path.glob(f"{name}_[0-9]*"))
        return [GradientSketch.load(folder) for folder in folders[: len(options.checkpoints)]]

    return compute_scores(
        sketch,
        options.scores or None,
        seed=options.seed,
        validation=GradientSketch.load(run.path / "validation") if options.validation else None,
        checkpoints=checkpoints("checkpoint"),
        validation_checkpoints=checkpoints("validation_checkpoint") if options.validation else (),
        progress=lambda name: progress({"stage": "scores", "score": name}),
    )


def _diagnosis(
    run: RunFolder,
    sketch: GradientSketch,
    table: pd.DataFrame,
    scores: dict[str, NDArray[np.float64]],
    options: ScoreOptions,
) -> Diagnosis:
    # Findings come from the fits behind the default score; who asks for others only is not made to wait for them.
    if options.scores and "oga" not in scores:
        return Diagnosis({}, {"warnings": []})
    groups = pd.read_parquet(run.path / "groups.parquet")
    return diagnose(
        sketch,
        scores[default_score(list(scores))],
        class_names=run.info["classes"],
        ids=table["sample_id"].to_numpy(dtype=object),
        groups={str(name): groups[name].tolist() for name in groups},
        seed=options.seed,
    )


def _table(run: RunFolder, sketch: GradientSketch, scores: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    table = pd.read_parquet(run.path / "samples.parquet")
    if sketch.logits is not None:
        classes = np.array(run.info["classes"], dtype=object)
        table["predicted_label"] = classes[sketch.logits.argmax(axis=1)]
        table["given_label_probability"] = sketch.probabilities[np.arange(len(sketch)), sketch.given_labels]
    else:
        table["predicted_label"] = ""
        table["given_label_probability"] = np.exp(-sketch.losses)
    for name, values in scores.items():
        table[SCORE_PREFIX + name] = values
    return table
