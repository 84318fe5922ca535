"""Per-sample gradients of a live model, in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.devices import choose_device, require_precision
from oga_core.gradients.options import PassOptions, require_known
from oga_core.gradients.passes import PassResult, gradient_pass
from oga_core.live.dataset import LiveData
from oga_core.live.task import LiveTask, device_of, require_module
from oga_core.numerics import Indices, Values
from oga_core.samples import SampleSet, Source
from oga_core.worker.stages import Progress


def per_sample_gradients(
    model: nn.Module,
    dataset: Any,
    *,
    loss: Any = F.cross_entropy,
    parameters: str = "all",
    collate_fn: Callable[[list[Any]], Any] | None = None,
    sketch_dim: int = 512,
    batch_size: int | None = None,
    device: str | None = None,
    precision: str = "float32",
    seed: int = 0,
    progress: Progress = lambda message: None,
) -> GradientSketch:
    """Return every sample's loss gradient in reduced form, in the data's order, arrays in memory.

    model: any module; it is called as its training loop calls it, and stays as it is. dataset: a map-style Dataset, a
    DataLoader (its data set and collate_fn are used, in the data's order), a pair (X, y), a DataFrame or a list of
    (input, label). loss: a function of (outputs, labels); plain cross-entropy also gives logits and features.
    parameters: head, all, last:N, lora or pattern:REGEX. sketch_dim: length of the random sketch. device: of the model
    by default. Raises `OgaError` naming the argument that is wrong, and when more than 5 % of the samples fail.
    Chhabra et al., ICML 2025, arXiv 2405.03869.
    """
    require_module(model)
    device = usable_device(model, device, precision)
    data = LiveData.of(dataset, collate_fn)
    task = LiveTask.of(data, loss)
    options = PassOptions(
        parameters=parameters,
        sketch_dim=sketch_dim,
        seed=seed,
        device=device,
        batch_size=batch_size,
        precision=precision,
    )
    with TemporaryDirectory(prefix="oga-") as folder:
        result = take_pass(task, model, bare_samples(data, task), Path(folder), options, progress)
        return in_memory(result.sketch)


def usable_device(model: nn.Module, device: str | None, precision: str) -> str:
    """Return the device to use, that of the model where none is named. Raises `OgaError` where it is of no use."""
    require_known(precision)
    device = device or device_of(model)
    require_precision(choose_device(device), precision)
    return device


def take_pass(
    task: LiveTask,
    model: nn.Module,
    samples: SampleSet,
    folder: Path,
    options: PassOptions,
    progress: Progress = lambda message: None,
) -> PassResult:
    """Take the gradient pass with the caller's gradient flags left as they were."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    try:
        return gradient_pass(task, model, samples, folder=folder, options=options, progress=progress)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def given_labels(data: LiveData, task: LiveTask) -> Indices:
    """Return the class indices of all items, `(n_samples,)`, -1 where the loss has no single class."""
    labels = data.labels if task.target == "class" else None
    if labels is None:
        return np.full(len(data), -1, dtype=np.int64)
    if labels.min() < 0:
        raise OgaError(f"The dataset has the label {labels.min()}. Class labels are whole numbers from 0.")
    return labels.astype(np.int64)


def bare_samples(data: LiveData, task: LiveTask) -> SampleSet:
    """Return samples that the pass can number and label; their content stays with the caller."""
    labels = given_labels(data, task)
    rows = np.arange(len(data))
    targets = _targets(data, task)
    digest = blake2b(labels.tobytes(), digest_size=16)
    digest.update(b"" if targets is None else targets.tobytes())
    return SampleSet(
        ids=np.array([str(row) for row in rows], dtype=object),
        inputs=range(len(data)),
        given_labels=labels,
        class_names=tuple(map(str, range(_n_names(task, labels, targets)))),
        modality="outputs",
        rows=[{}] * len(data),
        row_numbers=rows,
        source=Source(Path(), "live"),
        fingerprint=digest.hexdigest(),
        targets=targets,
    )


def _targets(data: LiveData, task: LiveTask) -> Values | None:
    """The labels that are no classes: `(n_samples,)` of numbers, `(n_samples, size)` of others."""
    if task.target in (None, "class", "tags") or data.labels is None:
        return None
    targets = data.labels.astype(np.float64)
    return targets.reshape(-1) if task.target == "number" else targets


def _n_names(task: LiveTask, labels: Indices, targets: Values | None) -> int:
    """How many classes or labels there are to be named."""
    if task.target == "labels" and targets is not None:
        return targets.shape[1]
    return int(labels.max()) + 1


def in_memory(sketch: GradientSketch) -> GradientSketch:
    """Return the sketch with its arrays read from their files."""
    arrays = {part.name: getattr(sketch, part.name) for part in fields(sketch)}
    read: dict[str, Any] = {name: np.array(a) for name, a in arrays.items() if isinstance(a, np.ndarray)}
    return replace(sketch, **read)
