"""A run of a live model: the pass in this process, then the same results as any run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import nn

from oga_core.errors import OgaError
from oga_core.live.dataset import LiveData
from oga_core.live.gradients import bare_samples, take_pass, usable_device
from oga_core.live.keeping import keep
from oga_core.live.tags import LiveTags
from oga_core.live.task import LiveTask, require_module
from oga_core.live.weights import lent_weights
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.record import pass_record, write_samples
from oga_core.pipeline.recording import Recorded, begin, timed
from oga_core.pipeline.request import pass_options, settled
from oga_core.pipeline.results import write_scored
from oga_core.readers import read_samples
from oga_core.runs.folder import RunFolder
from oga_core.runs.lock import only_scoring
from oga_core.samples import SampleSet
from oga_core.worker.stages import Progress, Stages

LIVE = "live"
"""The model format of a run whose model stayed with its owner: it can be looked at and exported, not trained anew."""


def score_live(
    model: nn.Module,
    dataset: Any,
    run_path: Path,
    options: ScoreOptions,
    *,
    loss: Any = F.cross_entropy,
    classes: Sequence[str] | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    tokenizer: Any | None = None,
    progress: Progress = lambda message: None,
    overwrite: bool = False,
) -> RunFolder:
    """Score every item of a live data set with a live model into the run folder, in this process.

    What a person will look at is kept in data/ in the run folder. Raises `OgaError` for anything that the caller can
    correct; run.json then says so too.
    """
    require_module(model)
    device = usable_device(model, None if options.device == "auto" else options.device, options.precision)
    data = LiveData.of(dataset, collate_fn, options.label_column)
    task = LiveTags.of_model(data, loss, model, tokenizer)
    run = RunFolder.create(run_path)
    with only_scoring(run.path, str(run.path.resolve() / "data"), overwrite=overwrite), Recorded(run):
        begin(run, {}, None, options)
        timed(run, lambda: _score(run, model, data, task, options, device, classes, tokenizer, progress))
    return run


def _score(
    run: RunFolder,
    model: nn.Module,
    data: LiveData,
    task: LiveTask,
    options: ScoreOptions,
    device: str,
    classes: Sequence[str] | None,
    tokenizer: Any | None,
    progress: Progress,
) -> None:
    stages = Stages(progress)
    bare = bare_samples(data, task)
    with stages("keep samples"):
        if isinstance(task, LiveTags):
            samples = _all_kept(task.kept(run.path / "data" / "sentences.jsonl", task.names(model, classes)), data)
        else:
            samples = _kept(run, data, bare, _class_names(bare, data, classes, task), tokenizer)
    settings = settled({**pass_options(options), "device": device}, target=task.target, n_samples=len(samples))
    with stages("gradients"):
        result = take_pass(task, model, samples, run.arrays, settings, stages.progress)
    scored = samples.take(result.rows)
    for number, checkpoint in enumerate(options.checkpoints):
        with stages("gradients of the checkpoints"), lent_weights(model, Path(checkpoint)):
            folder = run.path / f"checkpoint_{number:03d}"
            take_pass(task, model, scored, folder, replace(settings, views=False, whole_parameters=0), stages.progress)
    write_samples(scored, run.path)
    described = {
        "path": str(samples.source.path.resolve()),
        "options": {"modality": samples.modality},
        "fingerprint": samples.fingerprint,
        "format": samples.source.format,
    }
    record = {
        **pass_record(samples, result),
        "model_format": LIVE,
        "notes": [*samples.notes, *task.notes(model), *result.notes],
        "loss": task.loss_entry if task.target else {},
        "warnings": [],
        "seconds": stages.seconds,
        "data": described,
    }
    write_scored(run, record, options, progress)


def _kept(
    run: RunFolder, data: LiveData, bare: SampleSet, classes: tuple[str, ...], tokenizer: Any | None
) -> SampleSet:
    """Write what can be looked at, and read it back as any data set, labels numbered as the model does."""
    named = replace(bare, class_names=classes)
    labels = [named.label_text(i) for i in range(len(named))] if named.target else None
    path, modality = keep(data, labels, run.path / "data", tokenizer)
    if labels is None and modality != "causal_lm":
        raise OgaError(
            "A run needs a class, a number or a list of numbers for each sample, or a language model's tokens. For "
            "other labels use per_sample_gradients and compute_scores."
        )
    samples = _all_kept(read_samples(path, modality=modality), data)
    return replace(samples, class_names=classes, given_labels=bare.given_labels, targets=bare.targets)


def _all_kept(samples: SampleSet, data: LiveData) -> SampleSet:
    """Raise `OgaError` where an item is missing among what was kept."""
    if len(samples) != len(data):
        why = f" Item {samples.problems[0].row}: {samples.problems[0].reason}." if samples.problems else ""
        raise OgaError(f"Only {len(samples)} of the {len(data)} items can be kept to be looked at.{why}")
    return samples


def _class_names(bare: SampleSet, data: LiveData, classes: Sequence[str] | None, task: LiveTask) -> tuple[str, ...]:
    if task.target not in ("class", "labels"):
        return ()
    highest = len(bare.class_names) - 1
    if highest < 0:
        raise OgaError("The dataset has no class labels. Give items (input, label) with whole numbers as labels.")
    names = tuple(map(str, classes or data.class_names)) or tuple(map(str, range(highest + 1)))
    if highest >= len(names):
        raise OgaError(f"The dataset has the label {highest}, but classes names {len(names)}. Name every class.")
    return names
