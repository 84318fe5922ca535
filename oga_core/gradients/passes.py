"""One pass over the data: per-sample gradients of the loss in reduced form, from which every score is computed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.arrays import PROGRESS, PassArrays
from oga_core.gradients.batches import load, pass_order, to_device
from oga_core.gradients.devices import batch_size_for, choose_device
from oga_core.gradients.failures import OutOfMemory, model_runs, not_enough_memory
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass, outputs_arrays
from oga_core.gradients.hooks.forward_capture import Survey, survey
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.self_check import CHECKED_SAMPLES, rows_of
from oga_core.gradients.walk import BatchPass, Walk
from oga_core.numerics import evenly_spaced
from oga_core.samples import Problem, SampleSet
from oga_core.tasks.task import Batch, Task
from oga_core.worker.stages import Progress

__all__ = ["PassOptions", "PassResult", "gradient_pass", "outputs_pass"]

_SURVEYED_SAMPLES = CHECKED_SAMPLES
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass leaves: the sketch of the readable samples and their positions among the samples given.

    problems: the samples that could not be read or have no finite output. notes: sentences for the person.
    seconds: of the pass, this time.
    """

    sketch: GradientSketch
    rows: NDArray[np.int64]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    batch_size: int
    device: str
    seconds: float


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

    A pass that was interrupted goes on where it stopped if data, model and options are the same; one that is
    done is not done again.
    progress: called with stage, done, total and seconds_left; may raise to stop.
    Raises `OgaError` when more than 5 % of the samples cannot be read or scored, or the model does not take them.
    """
    options = options or PassOptions()
    start = time.perf_counter()
    device = choose_device(options.device)
    model = model.to(device)
    order = pass_order(task, samples)
    first = _first_batch(task, samples, order, device)
    arrays = PassArrays(folder, len(samples), _fingerprint(model, samples, options, first))
    if arrays.finished is None:
        with _evaluating(model):
            batch_pass = _walk(task, model, samples, order, first, arrays, options, device, progress)()
        summary = {
            "coverage": batch_pass.coverage,
            "check_error": batch_pass.check_error,
            "notes": batch_pass.notes,
        }
        arrays.finish(summary)
    assert arrays.finished is not None
    numbers = {name: arrays.finished[name] for name in ("coverage", "check_error")}
    return PassResult(
        GradientSketch.load(folder, **numbers),
        arrays.rows,
        tuple(arrays.problems[position] for position in sorted(arrays.problems)),
        tuple(arrays.finished["notes"]),
        arrays.batch_size,
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
    (folder / PROGRESS).unlink(missing_ok=True)
    arrays: dict[str, Any] = {**outputs_arrays(logits, features, given_labels, options)}
    GradientSketch(given_labels=given_labels, **arrays).save(folder)
    notes = () if options.parameters == "head" else ("Outputs alone tell the gradient of the last layer only.",)
    seconds = time.perf_counter() - start
    return PassResult(GradientSketch.load(folder), np.arange(len(logits)), (), notes, len(logits), "cpu", seconds)


def _walk(
    task: Task,
    model: nn.Module,
    samples: SampleSet,
    order: NDArray[np.int64],
    first: Batch,
    arrays: PassArrays,
    options: PassOptions,
    device: torch.device,
    progress: Progress,
) -> Walk:
    with _fits(first):
        found = survey(lambda: task.outputs(model, first), len(first["labels"]))
    checked = first if found.unlikely is None else {**first, "labels": found.unlikely}
    arrays.batch_size = arrays.batch_size or options.batch_size or _batch_size(device, found, options)

    def make_pass(given_up: set[str]) -> BatchPass:
        with _fits(first):
            return _batch_pass(task, model, options, found, checked, device, given_up)

    return Walk(make_pass, task, samples, order, arrays, device, progress)


@contextmanager
def _fits(first: Batch) -> Iterator[None]:
    """The few samples that are tried first must fit into memory."""
    try:
        with model_runs(first):
            yield
    except OutOfMemory:
        raise not_enough_memory(first) from None


def _batch_pass(
    task: Task,
    model: nn.Module,
    options: PassOptions,
    found: Survey,
    first: Batch,
    device: torch.device,
    given_up: set[str],
) -> BatchPass:
    """Return a pass that agrees with the one-by-one loop on the first samples."""
    head = HeadPass(task, model, options, found, device, given_up)
    choice = options.parameters
    if found.n_output_axes == 2:
        head.check(first)
        if choice == "head":
            return head
    if choice == "head":
        choice = "lora" if any("lora_" in name for name, _ in model.named_parameters()) else "all"
        head.notes.append(f"The model has no classes, so the gradient of its parameters is computed: {choice}.")
    full = FullPass(task, model, options, head, choose_parameters(model, choice))
    full.check(first)
    return full


def _first_batch(task: Task, samples: SampleSet, order: NDArray[np.int64], device: torch.device) -> Batch:
    """A few readable samples spread over the order, the longest among them where length matters."""
    found = None
    for count in (_SURVEYED_SAMPLES, 16 * _SURVEYED_SAMPLES):
        rows = evenly_spaced(order, count)
        loaded = load(task, samples, rows)
        found = loaded.batch or found
        if found is not None and len(loaded.rows) >= min(_SURVEYED_SAMPLES, len(order)):
            break
    if found is None:
        raise OgaError("No sample of the data can be read. Check the files and the model card's input.")
    return to_device(rows_of(found, min(_SURVEYED_SAMPLES, len(found["labels"]))), device)


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


def _fingerprint(model: nn.Module, samples: SampleSet, options: PassOptions, first: Batch) -> str:
    """Changes with the data, how the first samples are prepared, the options, and the model's layers and weights."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(replace(options, device="auto").fingerprint.encode())
    digest.update(samples.fingerprint.encode())
    digest.update(np.ascontiguousarray(samples.row_numbers).tobytes())
    digest.update(np.ascontiguousarray(samples.given_labels).tobytes())
    digest.update(_ADDRESS.sub("", str(model)).encode())
    for name, tensor in sorted({**model.state_dict(), **first}.items()):
        if isinstance(tensor, Tensor):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
