"""One pass over the data: per-sample gradients of the loss in reduced form, from which every score is computed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.devices import batch_size_for, choose_device
from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.arrays import PassArrays
from oga_core.gradients.batches import batches, load, pass_order, stop_above_share, to_device
from oga_core.gradients.forward_capture import Survey, survey
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass, outputs_arrays
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.samples import Problem, SampleSet
from oga_core.tasks.task import Batch, Task

__all__ = ["PassOptions", "PassResult", "gradient_pass", "outputs_pass"]

Progress = Callable[[dict[str, Any]], object]
_SURVEYED_SAMPLES = 4
_SECONDS_BETWEEN_RECORDS = 5.0


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass leaves: the sketch of the readable samples and their positions among the samples given.

    problems: the samples that could not be read. notes: sentences for the person. seconds: of the pass, this time.
    """

    sketch: GradientSketch
    rows: NDArray[np.int64]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    batch_size: int
    device: str
    seconds: float


class BatchPass(Protocol):
    """Computes the arrays of one batch, by the names of `GradientSketch`."""

    notes: list[str]
    coverage: float
    check_error: float

    def __call__(self, batch: Batch) -> dict[str, Tensor]: ...


def gradient_pass(
    task: Task,
    model: nn.Module,
    samples: SampleSet,
    *,
    folder: Path,
    options: PassOptions | None = None,
    progress: Progress = lambda _: None,
) -> PassResult:
    """Compute every sample's gradient in reduced form and write it to memory-mapped arrays in `folder`.

    A pass that was interrupted goes on where it stopped if data, model and options are the same.
    progress: called with stage, done, total and seconds_left; may raise to stop.
    Raises `OgaError` when more than 5 % of the samples cannot be read.
    """
    options = options or PassOptions()
    start = time.perf_counter()
    device = choose_device(options.device)
    model = model.to(device)
    arrays = PassArrays(folder, len(samples), _fingerprint(model, samples, options))
    order = pass_order(task, samples)
    with _evaluating(model):
        first = _first_batch(task, samples, order, device)
        found = survey(lambda: task.outputs(model, first), len(first["labels"]))
        batch_size = arrays.batch_size or options.batch_size or _batch_size(device, found, options)
        arrays.batch_size = batch_size
        batch_pass = _batch_pass(task, model, options, found, first, device)
        _run(batch_pass, task, samples, order, arrays, device, progress)
    rows = arrays.finish()
    sketch = GradientSketch.load(folder, coverage=batch_pass.coverage, check_error=batch_pass.check_error)
    return PassResult(
        sketch,
        rows,
        tuple(arrays.problems[position] for position in sorted(arrays.problems)),
        tuple(batch_pass.notes),
        batch_size,
        str(device),
        time.perf_counter() - start,
    )


def outputs_pass(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    *,
    folder: Path,
    options: PassOptions | None = None,
) -> PassResult:
    """Make the same arrays from a model's outputs alone, `(n_samples, n_classes)` and `(n_samples, n_features)`."""
    options = options or PassOptions()
    start = time.perf_counter()
    arrays: dict[str, Any] = {**outputs_arrays(logits, features, given_labels, options)}
    GradientSketch(given_labels=given_labels, **arrays).save(folder)
    notes = () if options.parameters == "head" else ("Outputs alone tell the gradient of the last layer only.",)
    seconds = time.perf_counter() - start
    return PassResult(GradientSketch.load(folder), np.arange(len(logits)), (), notes, len(logits), "cpu", seconds)


def _batch_pass(
    task: Task, model: nn.Module, options: PassOptions, found: Survey, first: Batch, device: torch.device
) -> BatchPass:
    head = HeadPass(task, model, options, found, device)
    choice = options.parameters
    if choice == "head":
        if found.n_output_axes == 2:
            return head
        choice = "lora" if any("lora_" in name for name, _ in model.named_parameters()) else "all"
        head.notes.append(f"The model has no classes, so the gradient of its parameters is computed: {choice}.")
    full = FullPass(task, model, options, head, choose_parameters(model, choice))
    full.check(first)
    return full


def _run(
    batch_pass: BatchPass,
    task: Task,
    samples: SampleSet,
    order: NDArray[np.int64],
    arrays: PassArrays,
    device: torch.device,
    progress: Progress,
) -> None:
    started_at, start = arrays.done, time.perf_counter()
    recorded = start
    done = started_at
    parts = [order[i : i + arrays.batch_size] for i in range(done, len(order), arrays.batch_size)]
    for part, loaded in zip(parts, batches(task, samples, parts), strict=True):
        if loaded.problems:
            arrays.problems.update(loaded.problems)
            stop_above_share(arrays.problems, len(samples))
        if loaded.batch is not None:
            values = batch_pass(to_device(loaded.batch, device))
            arrays.write(loaded.rows, {name: value.cpu().numpy() for name, value in values.items()})
        done += len(part)
        now = time.perf_counter()
        if now - recorded > _SECONDS_BETWEEN_RECORDS:
            arrays.record(done)
            recorded = now
        left = (now - start) / (done - started_at) * (len(order) - done)
        progress({"stage": "gradients", "done": done, "total": len(order), "seconds_left": round(left, 1)})
    arrays.write(np.arange(len(samples)), {"given_labels": samples.given_labels})


def _first_batch(task: Task, samples: SampleSet, order: NDArray[np.int64], device: torch.device) -> Batch:
    """A few readable samples spread over the order, the longest among them where length matters."""
    for count in (_SURVEYED_SAMPLES, 16 * _SURVEYED_SAMPLES):
        rows = order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(np.int64))]
        batch = load(task, samples, rows).batch
        if batch is not None:
            return to_device(batch, device)
    raise OgaError("No sample of the data can be read. Check the files and the model card's input.")


def _batch_size(device: torch.device, found: Survey, options: PassOptions) -> int:
    kept = 1 if options.parameters == "head" else 4  # a backward pass keeps activations and their gradients
    return batch_size_for(device, found.bytes_per_sample * kept)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode for a while: dropout and batch statistics would make gradients random."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _fingerprint(model: nn.Module, samples: SampleSet, options: PassOptions) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(replace(options, device="auto").fingerprint.encode())
    digest.update(samples.fingerprint.encode())
    digest.update(np.ascontiguousarray(samples.row_numbers).tobytes())
    digest.update(np.ascontiguousarray(samples.given_labels).tobytes())
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
