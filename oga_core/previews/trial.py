"""The worker's part of a trial before the start: a few samples, the model's checks, and what all would take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from oga_core.costs.measured import Measured
from oga_core.costs.probe import probe_seconds
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.devices import CPU_BATCH_BYTES, choose_device, device_name, precision_context, require_precision
from oga_core.gradients.passes import gradient_pass, outputs_pass
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.numerics import Indices, evenly_spaced
from oga_core.pipeline.checks import check_labels
from oga_core.pipeline.request import OUTPUTS_SUFFIXES, PassRequest, settled
from oga_core.pipeline.trial import taken_output, try_model
from oga_core.readers import read_samples
from oga_core.readers.outputs import aligned, class_names, outputs_of
from oga_core.samples import SampleSet
from oga_core.tasks.prepare import prepare, with_reference
from oga_core.worker.stages import Progress, peak_rss_mb

TRIED = 64
OUTPUTS_TRIED = 16_384
"""Of a bundle, whose rows take microseconds each."""
_WARM = 16  # samples of a first pass, which takes along what happens once: the choice of the batch, the self-check


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the model's checks and notes, and the fields of `Measured`: of reading and of a short pass.

    arguments: of a `PassRequest`. Raises `OgaError` where the model fails.
    """
    request = PassRequest.from_json(arguments)
    start = time.perf_counter()
    device = choose_device(request.pass_options["device"])
    require_precision(device, request.pass_options["precision"])
    samples = read_samples(Path(request.data), **request.data_options)
    model = request.model_path(samples)
    card = ModelCard.from_json(request.model_card, "given") if request.model_card else None
    if model.suffix.lower() in OUTPUTS_SUFFIXES:
        return _try_outputs(samples, model, card, request, start)
    loaded = load_model(model, card)
    samples, task = prepare(samples, loaded, request.trained_on)
    task = with_reference(task, loaded, request.reference)
    options = settled(request.pass_options, target=samples.target, n_samples=len(samples))
    reading = time.perf_counter() - start
    with precision_context(device, options.precision):
        with taken_output(loaded.module) as taken:
            checks = try_model(loaded, task, samples, options.views, progress)
        few = replace(options, whole_parameters=0)
        measured = _short_passes(
            samples,
            TRIED,
            lambda rows, folder: gradient_pass(task, loaded.module, samples.take(rows), folder=folder, options=few),
        )
    measured = replace(measured, device=device_name(device), reading_seconds=reading, batch_mb=CPU_BATCH_BYTES / 2**20)
    return {**asdict(measured), "checks": [check.as_json() for check in checks], "notes": [*loaded.notes, *taken]}


def _try_outputs(
    samples: SampleSet, path: Path, card: ModelCard | None, request: PassRequest, start: float
) -> dict[str, Any]:
    """The same of a bundle of outputs, which needs no model."""
    bundle = outputs_of(samples, path)
    samples = samples.with_classes(class_names(bundle, samples, card.classes if card else ()))
    logits, features = aligned(bundle, samples, path)
    reading = time.perf_counter() - start
    checks = check_labels(logits, samples.given_labels, samples.class_names)
    options = settled(request.pass_options, target=samples.target, n_samples=len(samples))
    measured = _short_passes(
        samples,
        OUTPUTS_TRIED,
        lambda rows, folder: outputs_pass(
            logits[rows],
            None if features is None else features[rows],
            samples.given_labels[rows],
            folder=folder,
            options=options,
        ),
    )
    measured = replace(measured, reading_seconds=reading)
    return {**asdict(measured), "checks": [check.as_json() for check in checks], "notes": []}


def _short_passes(samples: SampleSet, tried: int, take: Callable[[Indices, Path], object]) -> Measured:
    """What a pass over all samples takes, from a short one and a longer one: their difference is what a sample takes.

    take: a pass over some rows into a folder.
    """
    sizes = (_WARM, _WARM + tried)
    seconds = []
    for size in sizes:
        rows = evenly_spaced(np.arange(len(samples)), size)
        with TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch, "arrays")
            begun = time.perf_counter()
            take(rows, folder)
            seconds.append(time.perf_counter() - begun)
            sketch = GradientSketch.load(folder)
            n_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".json")
    each = max(0.0, seconds[1] - seconds[0]) / max(len(rows) - min(_WARM, len(samples)), 1)
    return Measured(
        n_samples=len(samples),
        n_tried=len(rows),
        n_features=0 if sketch.features is None else int(sketch.features.shape[1]),
        n_outputs=sketch.n_classes if sketch.outputs is None else int(sketch.outputs.shape[1]),
        sketch_dim=int(sketch.sketch.shape[1]),
        target=samples.target or "text",
        first_seconds=seconds[0],
        sample_seconds=each,
        memory_mb=peak_rss_mb(),
        bytes_a_sample=n_bytes / max(len(rows), 1),
        probe_seconds=probe_seconds(),
    )
