"""The worker's part of a run: read data and model, check them, take the gradient pass, leave arrays behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oga_core.errors import OgaError
from oga_core.gradients.batches import POSITIONS, Part, Shard
from oga_core.gradients.devices import choose_device, require_precision
from oga_core.gradients.head_pass import ROWS_AT_ONCE
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import PassResult, gradient_pass, outputs_pass
from oga_core.models import load_model
from oga_core.models.card import ModelCard, first_card
from oga_core.models.factory import ModelFactory
from oga_core.models.loaded import LoadedModel
from oga_core.models.weights import assign, read_weights
from oga_core.pipeline.checks import Check, check_labels, check_memorised
from oga_core.pipeline.inputs import write_inputs
from oga_core.pipeline.record import accuracy_of, pass_record, write_samples
from oga_core.pipeline.request import OUTPUTS_SUFFIXES, PassRequest, settled
from oga_core.pipeline.trial import check_checkpoints, check_needs, check_some, stop_on_failure, taken_output, try_model
from oga_core.readers import read_samples, reading_notes
from oga_core.readers.outputs import aligned, class_names, outputs_of
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.causal_lm import CausalLMTask
from oga_core.tasks.losses import loss_of
from oga_core.tasks.prepare import prepare, with_reference
from oga_core.worker.stages import Progress, Stages


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Take the gradient pass over the data and return what belongs in run.json.

    arguments: of a `PassRequest`. Arrays go to arrays/ in the run folder, ids and labels to samples.parquet, and the
    positions of a shard's samples to positions.npy. What can be refused is refused before the pass, which may take
    hours.
    """
    request = PassRequest.from_json(arguments)
    if request.threads:
        torch.set_num_threads(request.threads)
    stages = Stages(progress)
    folder = Path(request.folder)
    require_precision(choose_device(request.pass_options["device"]), request.pass_options["precision"])
    with stages("read data"):
        samples = read_samples(Path(request.data), **request.data_options)
    model = request.model_path(samples)
    if model.suffix.lower() in OUTPUTS_SUFFIXES:
        samples, result, summary = _score_outputs(samples, model, request, stages)
    else:
        samples, result, summary = _score_model(samples, model, request, stages)
    write_samples(samples.take(result.rows), folder, samples)
    return {
        **summary,
        **pass_record(samples, result),
        "notes": [*reading_notes(samples), *summary["notes"], *result.notes],
        "pass_fingerprint": result.fingerprint,
        "data_fingerprint": samples.fingerprint,
        "data_format": samples.source.format,
        "seconds": stages.seconds,
    }


def _score_model(
    samples: SampleSet, path: Path, request: PassRequest, stages: Stages
) -> tuple[SampleSet, PassResult, dict[str, Any]]:
    with stages("load model"):
        built = request.model_factory
        loaded = load_model(path, _card(request), factory=ModelFactory(**built) if built else None)
        samples, task = prepare(samples, loaded, request.trained_on)
        task = with_reference(task, loaded, request.reference)
        options = _pass_options(request, samples)
        if options.parameters != "head":
            choose_parameters(loaded.module, options.parameters)
    with stages("check model"):
        with taken_output(loaded.module) as taken:
            checks = try_model(loaded, task, samples, options.views, stages.progress)
        stop_on_failure(checks, force=request.force)
        usable = all(check.detail["usable"] for check in checks if check.name == "views")
        options = replace(options, views=options.views and usable and loss_of(task).has_logits)
        seen = any(check.name == "views" and check.detail["usable"] for check in checks)
        check_needs(request.needs, samples, options, loss=loss_of(task), has_views=seen)
    with stages("read rows"):
        shard = _shard(request)
        part = Part.of(task, samples, shard, options.batch_size, request.given_up) if shard else None
        rows = samples if part is None else samples.take(part.positions)
        trained = {"trained_input": task.survey(rows, stages.progress)} if isinstance(task, CausalLMTask) else {}
        part = part or Part.of(task, samples)  # by lengths that are known by now
    validation = _read_validation(loaded, task, request, stages)
    if request.checkpoints:
        with stages("read checkpoints"):
            check_checkpoints(loaded, [Path(path) for path in request.checkpoints])
    folder = Path(request.folder)
    with stages("gradients"):
        keeping = replace(options, thumbnails=True)
        result = gradient_pass(
            task, loaded.module, samples, folder=folder / "arrays", options=keeping, progress=stages.progress, part=part
        )
    _write_positions(part, request)
    write_inputs(task, samples.take(result.rows), folder / "arrays", n_data=len(samples))
    further = _further_passes(loaded, task, samples.take(result.rows), validation, request, options, stages)
    return (
        samples,
        _joined(result, further),
        {
            **_summary(loaded.format, _of_all(checks, result), (*loaded.notes, *taken)),
            **trained,
            "loss": dict(loaded.card.loss) if samples.target else {},
        },
    )


def _read_validation(loaded: LoadedModel, task: Task, request: PassRequest, stages: Stages) -> SampleSet | None:
    """Read the validation data and try the model on some of them; of the shards, only the first does."""
    shard = _shard(request)
    if not request.validation or (shard is not None and shard.number > 1):
        return None
    with stages("read validation data"):
        validation, _ = prepare(read_samples(Path(request.validation)), loaded, request.trained_on)
        try:
            stop_on_failure(check_some(loaded, task, validation))
        except OgaError as error:
            raise OgaError(f"With the validation data: {error}", error.detail) from error
    return validation


def _further_passes(
    loaded: LoadedModel,
    task: Task,
    samples: SampleSet,
    validation: SampleSet | None,
    request: PassRequest,
    options: PassOptions,
    stages: Stages,
) -> list[PassResult]:
    """The same pass over the validation data, and over both with the weights of every checkpoint."""
    folder = Path(request.folder)
    results: list[PassResult] = []

    def take(subject: SampleSet, name: str, options: PassOptions) -> None:
        results.append(
            gradient_pass(task, loaded.module, subject, folder=folder / name, options=options, progress=stages.progress)
        )

    options = replace(options, whole_parameters=0)
    if validation is not None:
        with stages("gradients of the validation data"):
            take(validation, "validation", options)
    without_views = replace(options, views=False)  # what no score reads of a checkpoint
    for number, checkpoint in enumerate(request.checkpoints):
        with stages("gradients of the checkpoints"):
            assign(loaded.module, read_weights(Path(checkpoint)), Path(checkpoint).name)
            take(samples, f"checkpoint_{number:03d}", without_views)
            if validation is not None:
                take(validation, f"validation_checkpoint_{number:03d}", without_views)
    return results


def _joined(result: PassResult, further: Sequence[PassResult]) -> PassResult:
    """The first pass with the largest error that is known and the notes of all."""
    errors = [each.sketch.check_error for each in (result, *further)]
    error = max((error for error in errors if not math.isnan(error)), default=math.nan)
    notes = dict.fromkeys(note for each in (result, *further) for note in each.notes)
    return replace(result, sketch=replace(result.sketch, check_error=error), notes=tuple(notes))


def _of_all(checks: list[Check], result: PassResult) -> list[Check]:
    """The checks, with what all samples tell about memorised labels in place of what a few told."""
    accuracy = accuracy_of(result.sketch)
    if accuracy is None or result.sketch.pixels is not None:
        return checks
    return [*(check for check in checks if check.name != "memorised"), *check_memorised(accuracy)]


def _score_outputs(
    samples: SampleSet, path: Path, request: PassRequest, stages: Stages
) -> tuple[SampleSet, PassResult, dict[str, Any]]:
    with stages("read outputs"):
        bundle = outputs_of(samples, path)
        card = first_card(_card(request), path)
        samples = samples.with_classes(class_names(bundle, samples, card.classes if card else ()))
        logits, features = aligned(bundle, samples, path)
    checks = check_labels(logits, samples.given_labels, samples.class_names)
    stop_on_failure(checks, force=request.force)
    with stages("gradients"):
        options = _pass_options(request, samples)
        part = _part_of_outputs(len(samples), _shard(request))
        _write_positions(part, request)
        result = outputs_pass(
            logits, features, samples.given_labels, folder=Path(request.folder) / "arrays", options=options, part=part
        )
    return samples, result, _summary("outputs", _of_all(checks, result), ())


def _shard(request: PassRequest) -> Shard | None:
    return Shard.named(request.shard) if request.shard else None


def _part_of_outputs(n_samples: int, shard: Shard | None) -> Part:
    order = np.arange(n_samples)
    return Part(order, order if shard is None else shard.places(n_samples, ROWS_AT_ONCE, spread=False))


def _write_positions(part: Part, request: PassRequest) -> None:
    if request.shard:
        np.save(Path(request.folder) / POSITIONS, part.table, allow_pickle=False)


def _pass_options(request: PassRequest, samples: SampleSet) -> PassOptions:
    return settled(request.pass_options, target=samples.target, n_samples=len(samples))


def _card(request: PassRequest) -> ModelCard | None:
    card = request.model_card
    return ModelCard.from_json(card, "given") if card else None


def _summary(model_format: str, checks: list[Check], notes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "model_format": model_format,
        "checks": [check.as_json() for check in checks],
        "warnings": [check.message for check in checks if check.level == "warning"],
        "notes": list(notes),
    }
