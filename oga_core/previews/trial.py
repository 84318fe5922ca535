"""The worker's part of a trial before the start: a few samples, the model's checks, and how long all would take."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from oga_core.gradients.devices import choose_device, device_name, precision_context
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.numerics import evenly_spaced
from oga_core.pipeline.request import PassRequest, settled
from oga_core.pipeline.trial import try_model
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.prepare import prepare
from oga_core.worker.stages import Progress, peak_rss_mb

TRIED = 64
_WARM = 16  # samples of a first pass, which takes along what happens once: the choice of the batch, the self-check


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the device, the seconds that gradients of all samples take, the peak memory, and the model's checks.

    arguments: of a `PassRequest`. The seconds are of two passes over `_WARM` and `TRIED` more samples, of which the
    difference tells what one sample takes; scores and map come on top. Raises `OgaError` where the model fails.
    """
    request = PassRequest.from_json(arguments)
    samples = read_samples(Path(request.data), **request.data_options)
    card = ModelCard.from_json(request.model_card, "given") if request.model_card else None
    loaded = load_model(Path(str(request.model)), card)
    samples, task = prepare(samples, loaded, request.trained_on)
    options = settled(request.pass_options, target=samples.target, n_samples=len(samples))
    device = choose_device(options.device)
    with precision_context(device, options.precision):
        checks = try_model(loaded, task, samples, options.views, progress)
        seconds = _seconds(task, loaded.module, samples, replace(options, whole_parameters=0))
    return {
        "device": device_name(device),
        "seconds": seconds,
        "memory_mb": peak_rss_mb(),
        "n_tried": min(TRIED, len(samples)),
        "checks": [check.as_json() for check in checks],
    }


def _seconds(task: Task, module: Any, samples: SampleSet, options: PassOptions) -> float:
    """What a pass over all samples takes, from a short one and a longer one."""
    sizes = (_WARM, _WARM + TRIED)
    took = []
    for size in sizes:
        rows = evenly_spaced(np.arange(len(samples)), size)
        with TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as folder:
            begun = time.perf_counter()
            gradient_pass(task, module, samples.take(rows), folder=Path(folder, "arrays"), options=options)
            took.append(time.perf_counter() - begun)
    each = max(0.0, took[1] - took[0]) / TRIED
    return took[0] + each * max(0, len(samples) - _WARM)
