"""The public interface: arrays, a model and a loader, or files go in; a run that can be asked comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from oga_core import scores
from oga_core.errors import OgaError, unknown
from oga_core.files import write_whole
from oga_core.gradient_sketch import GradientSketch
from oga_core.notebook.run import Run
from oga_core.pipeline.options import ScoreOptions
from oga_core.worker.stages import Progress

__all__ = ["compute_scores", "open_run", "score"]


def compute_scores(
    sketch: GradientSketch,
    names: Sequence[str] | str | None = None,
    *,
    validation: GradientSketch | None = None,
    groups: Sequence[object] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the scores of every sample, one column a score, `(n_samples, n_scores)`; higher is more suspicious.

    names: of the scores, every one whose needs are met by default. validation: the sketch of clean samples. groups: of
    every validation sample, for the scores that compare groups.
    Raises `OgaError` for a name that is not known or needs what the sketch does not have.
    """
    wanted = (names,) if isinstance(names, str) else names
    return pd.DataFrame(scores.compute_scores(sketch, wanted, validation=validation, groups=groups, seed=seed)[0])


def open_run(path: Path | str) -> Run:
    """Return a scored run; raises `OgaError` where the folder holds none."""
    return Run(Path(path))


def score(
    model: Any,
    dataset: Any,
    run: Path | str = "oga-run",
    *,
    loss: Any = None,
    classes: Sequence[str] | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    tokenizer: Any | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Score every sample of a data set with the model that was trained on it; return the run.

    model: a `torch.nn.Module`, which runs in this process on its own device; or the path of a model's file or folder,
    which is read without running its code in a worker; None for a bundle of outputs. dataset: a torch Dataset or
    DataLoader, a Hugging Face Dataset, a DataFrame, a pair (X, y), a list of (input, label), a path, or an address such
    as s3://bucket/data.parquet (extra `oga[remote]`). run: the folder to write. loss, classes, collate_fn, tokenizer:
    for live models (plain cross-entropy by default). Of models that tag words the items' labels are -100 at all but the
    first token of each word, and loss is "token_cross_entropy" where the model is none of transformers. progress:
    called with what the work says of itself. options: fields of `ScoreOptions`, as scores, map, seed, label_column.
    Raises `OgaError` naming the argument that is wrong.
    """
    score_options = _options(options)
    progress = progress or (lambda message: None)
    if model is None or isinstance(model, (str, Path)):
        from oga_core.pipeline.score import score as score_files

        live = {"loss": loss, "classes": classes, "collate_fn": collate_fn, "tokenizer": tokenizer}
        if unused := [name for name, value in live.items() if value is not None]:
            raise OgaError(f"{unused[0]} is for a live model. What a model's file does not say is in its model card.")
        from oga_core.models.folders import is_model_file
        from oga_core.remote.fetching import local

        fetch = partial(local, run=Path(run), progress=progress)
        fetch_model = partial(fetch, wanted=is_model_file, with_card=True)
        data = _as_path(dataset, Path(run), fetch)
        model = None if model is None else fetch_model(model)
        score_options = score_options.with_files(fetch, fetch_model)
        return Run(score_files(data, model, run, score_options, progress).path)
    from torch.nn import functional

    from oga_core.live.scoring import score_live

    if isinstance(dataset, (str, Path)):
        raise OgaError(
            f"dataset is the path {str(dataset)!r} and model is live. Give the Dataset that the model was trained on, "
            "or save the model with package_model and give both paths."
        )
    loss = functional.cross_entropy if loss is None else loss
    folder = score_live(
        model,
        dataset,
        Path(run),
        score_options,
        loss=loss,
        classes=classes,
        collate_fn=collate_fn,
        tokenizer=tokenizer,
        progress=progress,
    )
    return Run(folder.path)


def _options(options: dict[str, Any]) -> ScoreOptions:
    known = [field.name for field in fields(ScoreOptions)]
    for name in options:
        if name not in known:
            raise unknown("option", name, known)
    for name in ("scores", "checkpoints"):
        if name in options:
            values = options[name]
            options[name] = (values,) if isinstance(values, (str, Path)) else tuple(values)
    paths = {name: str(value) for name, value in options.items() if isinstance(value, Path)}
    return ScoreOptions(**{**options, **paths})


def _as_path(dataset: Any, run: Path, fetch: Callable[[Path | str], Path]) -> Path:
    """The data as a file that a reader takes; what is in memory or elsewhere is written into the run folder first."""
    if isinstance(dataset, (str, Path)):
        return fetch(dataset)
    folder = run / "data"
    if not isinstance(dataset, pd.DataFrame) and not hasattr(dataset, "save_to_disk"):
        raise OgaError(
            f"dataset is {type(dataset).__name__!r} and model is a file. Give a path, a DataFrame or a Hugging Face "
            "Dataset, which the worker can read; or give the live model."
        )
    from oga_core.runs.folder import RunFolder

    RunFolder.create(run).update(status="running")
    folder.mkdir(exist_ok=True)
    if isinstance(dataset, pd.DataFrame):
        path = folder / "rows.parquet"
        write_whole(path, lambda temporary: dataset.to_parquet(temporary, index=False))
        return path
    dataset.save_to_disk(str(folder / "dataset"))
    return folder / "dataset"
