"""What is tried on a few samples before the pass, so that what can be refused is refused before hours of work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradient_sketch import LANGUAGE_ARRAYS
from oga_core.gradients.options import PassOptions
from oga_core.models.loaded import LoadedModel
from oga_core.models.packaging.logits import chosen_output, output_note, outputs_in
from oga_core.models.safetensors import Weights
from oga_core.models.weights import assign, read_weights
from oga_core.numerics import evenly_spaced
from oga_core.pipeline.checks import Check, check_labels, check_model, check_views, explained, readable_batch
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.losses import Loss, loss_of
from oga_core.worker.stages import Progress, peak_rss_mb

_CHECKED_SAMPLES = 16
_LABEL_CHECKED_SAMPLES = 512
_CHECKED_MASKS = 32  # which have thousands of pixels each
_COUNTED = 2**16
_SUM_TOLERANCE = 1e-4  # of probabilities in float32


def try_model(
    loaded: LoadedModel, task: Task, samples: SampleSet, wants_views: bool, progress: Progress
) -> list[Check]:
    """Check the model on a few samples and, where it has logits of classes, their order and its views on hundreds."""
    checks = check_some(loaded, task, samples, progress)
    has_order = samples.target == "mask" or (samples.target in ("class", "tags") and loss_of(task).has_logits)
    if not has_order or any(check.level == "failure" for check in checks):
        return checks
    count = _CHECKED_MASKS if samples.target == "mask" else _LABEL_CHECKED_SAMPLES
    rows = evenly_spaced(np.arange(len(samples)), count)
    start = time.perf_counter()
    logits, views, labels = _predictions(loaded, task, samples, rows, wants_views)
    seconds = (time.perf_counter() - start) / len(rows) * len(samples)
    progress({"stage": "estimate", "seconds_left": round(seconds, 1), "memory_mb": round(peak_rss_mb())})
    checks += [*check_softmax(logits), *check_labels(logits, labels, samples.class_names)]
    if samples.target == "mask":  # of which most pixels are background, which a model need not memorise
        checks = [check for check in checks if check.name != "memorised"]
    return [*checks, check_views(logits, views, labels)] if views else checks


@contextmanager
def taken_output(module: nn.Module) -> Iterator[list[str]]:
    """Fill the list with a sentence on which output is taken, where the network gives several when it is run."""
    notes: list[str] = []

    def note(module: nn.Module, inputs: object, answer: object) -> None:
        described, _ = outputs_in(answer)
        text = output_note(described, chosen_output(described)) if described else None
        if text and text not in notes:
            notes.append(text)

    hook = module.register_forward_hook(note)
    try:
        yield notes
    finally:
        hook.remove()


def check_softmax(logits: NDArray[np.float32]) -> list[Check]:
    """A failure where outputs that should be logits are probabilities, whose cross-entropy is another loss.

    logits: `(n_samples, n_classes)`.
    """
    if logits.shape[1] < 2 or (logits < 0).any() or np.abs(logits.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        return []
    message = (
        "The model ends with a softmax: its outputs are probabilities, and a second softmax in the loss would change "
        "its gradients. Let it return the logits before the softmax (leave out nn.Softmax or .softmax(1)) and export "
        "it again, or bring its outputs: np.savez('outputs.npz', probabilities=…, features=…, labels=…)."
    )
    return [Check("softmax", "failure", message)]


def check_some(
    loaded: LoadedModel, task: Task, samples: SampleSet, progress: Progress = lambda message: None
) -> list[Check]:
    """Check the model on a few samples, spread evenly. Raises `OgaError` where it fails on them."""
    return check_model(loaded.module, task, samples, evenly_spaced(np.arange(len(samples)), _CHECKED_SAMPLES), progress)


def _predictions(
    loaded: LoadedModel, task: Task, samples: SampleSet, rows: NDArray[np.int64], wants_views: bool
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]], NDArray[np.int64]]:
    """Logits of the samples at `rows` and of each of their views, and their labels."""
    outputs: list[list[torch.Tensor]] = []
    labels = []
    with torch.no_grad():
        for part in np.array_split(rows, len(rows) // 64 + 1):
            if (batch := readable_batch(task, samples, part)) is not None:
                seen = [batch, *(task.views(batch) if wants_views else [])]
                with explained(batch):
                    outputs.append([task.outputs(loaded.module, view).float() for view in seen])
                labels.append(batch["labels"])
                if samples.target in ("tags", "mask"):
                    counted = _counted(labels[-1])
                    axis = 1 if samples.target == "mask" else -1  # of the classes
                    outputs[-1] = [part.movedim(axis, -1).flatten(0, -2)[counted] for part in outputs[-1]]
                    labels[-1] = labels[-1].flatten()[counted]
    logits, *views = (torch.cat(parts).numpy() for parts in zip(*outputs, strict=True))
    return logits, views, torch.cat(labels).numpy()


def _counted(labels: torch.Tensor) -> torch.Tensor:
    """Places of the words or pixels of a batch that have a class, at most `_COUNTED` of them, evenly spaced."""
    places = (labels.flatten() >= 0).nonzero()[:, 0]
    return places[:: max(1, len(places) // _COUNTED)]


def stop_on_failure(checks: list[Check], *, force: bool = False) -> None:
    """Raise what failed as one `OgaError`; `force` lets classes pass that seem to be in another order."""
    failures = [check for check in checks if check.level == "failure"]
    forced = force and all(check.name == "label_order" for check in failures)
    if failures and not forced:
        raise OgaError(" ".join(check.message for check in failures), detail={"checks": [c.as_json() for c in checks]})


def check_needs(
    needs: Mapping[str, Sequence[str]], samples: SampleSet, options: PassOptions, *, loss: Loss, has_views: bool
) -> None:
    """Refuse scores that no pass of this model over these data can offer. Raises `OgaError`."""
    for name, needed in needs.items():
        of_head = options.parameters == "head" and samples.target not in (None, "mask")
        if {"l1_norm_all", "l2_norm_all"} & set(needed) and of_head:
            raise OgaError(
                f"The score {name!r} needs the gradient of more than the head, which is all that is taken of a "
                "model with a head unasked. Give --parameters all."
            )
        if "logits" in needed and (samples.target != "class" or not loss.has_logits):
            raise OgaError(
                f"The score {name!r} needs logits of classes, one class a sample, which this model does not have. "
                "Choose another."
            )
        if "outputs" in needed and (samples.target != "number" or loss.own is not None):
            raise OgaError(
                f"The score {name!r} is of a model that predicts numbers, which this is not. Choose another."
            )
        if {"delta", "features"} & set(needed) and samples.target in (None, "tags", "mask"):
            raise OgaError(
                f"The score {name!r} needs a model with one output a sample, not a language model or one that tags "
                "words or pixels. Choose another, as l2_norm_all."
            )
        if LANGUAGE_ARRAYS & set(needed) and samples.target:
            raise OgaError(f"The score {name!r} is of a language model's rows, which these are not. Choose another.")
        if "view_logits" in needed and not has_views:
            raise OgaError(
                f"The score {name!r} needs mirrored and shifted copies that are recognised as the same classes, which "
                "these data and this model do not offer. Choose another."
            )


class _Unchanged:
    """Stands for a network that keeps its weights, so that `assign` compares names and shapes and no more."""

    def __init__(self, module: nn.Module):
        self.state_dict = module.state_dict

    def load_state_dict(self, weights: Weights, strict: bool) -> None:
        """Take nothing."""


def check_checkpoints(loaded: LoadedModel, paths: Sequence[Path]) -> None:
    """Compare names and shapes of the checkpoints' weights with the model's. Raises `OgaError` naming what differs."""
    for path in paths:
        assign(cast("nn.Module", _Unchanged(loaded.module)), read_weights(path), path.name)
