"""One pass over the data: per-sample gradients of the loss in reduced form, from which every score is computed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.arrays import PROGRESS, PassArrays
from oga_core.gradients.batches import Part, first_batch, shorter_half
from oga_core.gradients.cards.memory_format import in_suitable_format
from oga_core.gradients.devices import (
    batch_size_for,
    choose_device,
    device_name,
    forget_peak,
    peak_mb,
    require_precision,
    unusable_card,
)
from oga_core.gradients.failures import OutOfMemory, model_runs, not_enough_memory
from oga_core.gradients.forward import first_look, instead_of_head, map_head, suits_late_head
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass, outputs_fingerprint, write_outputs
from oga_core.gradients.hooks.forward_capture import Survey
from oga_core.gradients.methods.hooks import HookMethod
from oga_core.gradients.methods.plain import LoopMethod, VmapMethod
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters, is_small_part
from oga_core.gradients.self_check import State
from oga_core.gradients.walk import BatchPass, Walk
from oga_core.samples import Problem, SampleSet
from oga_core.tasks.losses import PLAIN, loss_of
from oga_core.tasks.task import Batch, Task
from oga_core.worker.stages import Progress

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass leaves: the sketch of the readable samples and their positions among the samples given.

    problems: the samples that could not be read or have no finite output. notes: sentences for the person.
    seconds: of the pass, this time. device: as torch names it. device_name: as its maker does. precision: that was
    used. peak_device_mb: most memory held on a card, this time, in MiB; None without a card. fingerprint: of data,
    model and options, the same in every shard.
    """

    sketch: GradientSketch
    rows: NDArray[np.int64]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    batch_size: int
    device: str
    seconds: float
    device_name: str = "cpu"
    precision: str = "float32"
    peak_device_mb: float | None = None
    fingerprint: str = ""

    @property
    def device_info(self) -> dict[str, Any]:
        """The device, its precision and its memory, as run.json says it."""
        return {
            "kind": self.device,
            "name": self.device_name,
            "precision": self.precision,
            "peak_mb": self.peak_device_mb,
        }


def gradient_pass(
    task: Task,
    model: nn.Module,
    samples: SampleSet,
    *,
    folder: Path,
    options: PassOptions | None = None,
    progress: Progress = lambda _: None,
    part: Part | None = None,
) -> PassResult:
    """Compute every sample's gradient in reduced form and write it to memory-mapped arrays in `folder`.

    A pass that was interrupted goes on where it stopped if data, model and options are the same; one that is
    done is not done again.
    part: of the samples, whose rows alone are written; all where it is None.
    progress: called with stage, done, total and seconds_left; may raise to stop.
    Raises `OgaError` when more than 5 % of the samples cannot be read or scored, or the model does not take them.
    """
    options = options or PassOptions()
    start = time.perf_counter()
    device = choose_device(options.device)
    require_precision(device, options.precision)
    forget_peak(device)
    model = model.to(device)
    part = part or Part.of(task, samples)
    first = first_batch(task, samples, part.order, device)
    fingerprint = _fingerprint(task, model, samples, options, first)
    arrays = PassArrays(folder, len(part.places), part.fingerprint(fingerprint))
    if arrays.finished is None:
        arrays.given_up = sorted({*arrays.given_up, *part.given_up})
        with evaluating(model), in_suitable_format(device, options.precision, model):
            batch_pass = _walk(task, model, samples, part, first, arrays, options, device, progress)()
        summary = {
            "coverage": batch_pass.coverage,
            "check_error": batch_pass.check_error,
            "precision_error": batch_pass.precision_error,
            "precision": batch_pass.precision.name,
            "notes": [*_of_device(options.device, device), *batch_pass.notes],
        }
        arrays.finish(summary)
    assert arrays.finished is not None
    numbers = {name: arrays.finished.get(name, 0.0) for name in ("coverage", "check_error", "precision_error")}
    return PassResult(
        GradientSketch.load(folder, **numbers),
        part.positions[arrays.rows],
        tuple(arrays.problems[position] for position in sorted(arrays.problems)),
        tuple(arrays.finished["notes"]),
        arrays.batch_size,
        str(device),
        time.perf_counter() - start,
        device_name(device),
        arrays.finished.get("precision", options.precision),
        peak_mb(device),
        fingerprint,
    )


def outputs_pass(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    *,
    folder: Path,
    options: PassOptions | None = None,
    part: Part | None = None,
) -> PassResult:
    """Make the same arrays from a model's outputs alone, `(n_samples, n_classes)` and `(n_samples, n_features)`.

    part: of the samples, whose rows alone are written; all where it is None.
    """
    options = options or PassOptions()
    start = time.perf_counter()
    (folder / PROGRESS).unlink(missing_ok=True)
    rows = np.arange(len(logits))
    fingerprint = outputs_fingerprint(logits, features, given_labels, options)
    if part is not None and not part.is_whole:
        rows = part.positions
        logits = logits[rows]
        features = None if features is None else features[rows]
        given_labels = given_labels[rows]
    write_outputs(folder, logits, features, given_labels, options)
    notes = () if options.parameters == "head" else ("Outputs alone tell the gradient of the last layer only.",)
    seconds = time.perf_counter() - start
    return PassResult(
        GradientSketch.load(folder), rows, (), notes, len(logits), "cpu", seconds, fingerprint=fingerprint
    )


def _of_device(asked: str, device: torch.device) -> list[str]:
    """What a person who left the choice of the device open must know."""
    reason = unusable_card() if asked == "auto" and device.type == "cpu" else None
    return [f"This machine has a graphics card that was not used: {reason}. The CPU was used."] if reason else []


def _walk(
    task: Task,
    model: nn.Module,
    samples: SampleSet,
    part: Part,
    first: Batch,
    arrays: PassArrays,
    options: PassOptions,
    device: torch.device,
    progress: Progress,
) -> Walk:
    with fits(first):
        seen = first_look(task, model, options.parameters, first)
    unlikely = seen.unlikely if loss_of(task) == PLAIN else None
    checked = {**first, "labels": unlikely} if unlikely is not None else None
    checked = checked or shorter_half(task, samples, part.order, device) or first
    arrays.batch_size = arrays.batch_size or options.batch_size or _batch_size(device, seen, model, options.parameters)

    def make_pass(given_up: set[str]) -> BatchPass:
        with fits(first):
            return new_pass(task, model, options, seen, checked, device, given_up)

    own = samples if part.is_whole else samples.take(part.positions)
    return Walk(make_pass, task, own, part.own_order, arrays, device, progress, options.thumbnails, len(samples))


@contextmanager
def fits(first: Batch) -> Iterator[None]:
    """The few samples that are tried first must fit into memory."""
    try:
        with model_runs(first):
            yield
    except OutOfMemory:
        raise not_enough_memory(first) from None


def new_pass(
    task: Task,
    model: nn.Module,
    options: PassOptions,
    seen: Survey,
    first: Batch,
    device: torch.device,
    given_up: set[str],
) -> BatchPass:
    """Return a pass that agrees with the one-by-one loop on the first samples."""
    head = HeadPass(task, model, options, seen, device, given_up)
    choice = options.parameters
    if seen.n_output_axes == 2:
        head.check(first)
        if choice == "head":
            return head
    parameters = map_head(task, model, first) if choice == "head" and seen.n_output_axes == 4 else {}
    if choice == "head" and not parameters:
        choice = instead_of_head(model)
        head.notes.append(f"The model has no last layer of classes, so its parameters' gradient is computed: {choice}.")
    return full_pass(task, model, options, head, parameters or choose_parameters(model, choice), first, device)


def full_pass(
    task: Task,
    model: nn.Module,
    options: PassOptions,
    head: HeadPass,
    parameters: Mapping[str, nn.Parameter],
    first: Batch,
    device: torch.device,
) -> FullPass:
    """Return a pass over the gradients of `parameters` by the fastest method that suits the `first` samples."""
    forward = head.forward = replace(head.forward, late_head=suits_late_head(task, model, parameters.values(), first))
    methods = (
        HookMethod(forward, parameters, head.given_up),
        VmapMethod(forward, parameters, head.given_up),
        LoopMethod(forward, parameters),
    )
    result = FullPass(forward, methods, parameters, options, device, head.notes, head.given_up)
    result.check(first)
    return result


def _batch_size(device: torch.device, seen: Survey, model: nn.Module, choice: str) -> int:
    # A backward pass keeps activations and their gradients; layers whose weights nobody asks about keep no inputs.
    copies = 1 if choice == "head" else 2 if is_small_part(model, choice) else 4
    return batch_size_for(device, seen.bytes_per_sample * copies)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode for a while: dropout and batch statistics would make gradients random.

    Its buffers are as before then.
    """
    state = State(model)
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
        state.restore()


def _fingerprint(task: Task, model: nn.Module, samples: SampleSet, options: PassOptions, first: Batch) -> str:
    """Changes with the data, how the first samples are prepared, the options, the loss, and the model's weights."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(replace(options, device="auto").fingerprint.encode())
    digest.update(samples.fingerprint.encode())
    targets = samples.targets if samples.tags is None else np.concatenate(samples.tags)
    for array in (samples.row_numbers, samples.given_labels, targets):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(loss_of(task)).encode())
    digest.update(_ADDRESS.sub("", str(model)).encode())
    reference = getattr(task, "reference", None)  # of preference pairs
    others = {} if reference is None else {f"reference {name}": part for name, part in reference.state_dict().items()}
    for name, tensor in sorted({**model.state_dict(), **others, **first}.items()):
        if isinstance(tensor, Tensor):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
