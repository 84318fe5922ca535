"""What is checked about a model on a few samples before scoring: each check catches a fault that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.gradients.failures import OutOfMemory, model_runs
from oga_core.numerics import softmax
from oga_core.samples import SampleSet, UnreadableSample, is_number
from oga_core.tasks import Batch, Task
from oga_core.tasks.batches import one_sample
from oga_core.tasks.losses import loss_of
from oga_core.tasks.task import TokenTask
from oga_core.worker.stages import Progress

Level = Literal["ok", "warning", "failure"]

MEMORISED_ACCURACY = 0.95
_TOLERANCE = 1e-3
_CAUSAL_TOLERANCE = 1e-5  # the same arithmetic on the same numbers: only rounding differs
_VIEWS_KEPT = 0.9
_OTHER_TOKENS = 8  # a token that differs is taken from the first few, which every vocabulary has

NAME_THE_LOSS = (
    "If the model predicts a number, its loss belongs into the model card, so that labels are read as numbers: "
    '"loss": "mean_squared_error".'
)


@dataclass(frozen=True)
class Check:
    """One finding about the model: a failure stops the run, a warning is shown.

    `detail` holds numbers and, for the label order, the proposed `classes`.
    """

    name: str
    level: Level
    message: str
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The check as it stands in run.json."""
        return asdict(self)


def check_model(
    model: nn.Module,
    task: Task,
    samples: SampleSet,
    rows: NDArray[np.int64],
    progress: Progress = lambda message: None,
) -> list[Check]:
    """Check shapes, finiteness, independence of rows and repeatability on the samples at `rows` (a few suffice).

    Raises `OgaError` where the model fails on them.
    """
    progress({"stage": "read samples"})
    batch = readable_batch(task, samples, rows)
    if batch is None:
        return [Check("readable", "failure", "None of the samples that were tried can be read. Check the data.")]
    progress({"stage": "check model"})
    with torch.no_grad(), explained(batch):
        outputs = task.outputs(model, batch).float()
        again = task.outputs(model, batch).float()
        alone = [task.outputs(model, one_sample(batch, i)).float() for i in range(min(3, len(batch["labels"])))]
    shape = _shape(outputs, samples, own_loss=loss_of(task).own is not None)
    checks = [shape, _finite(outputs), _repeatable(outputs, again), _independent(outputs, alone)]
    if isinstance(task, TokenTask):
        checks.append(_causal(model, task, batch))
    return [*checks, _parameters(model)]


@contextmanager
def explained(batch: Batch) -> Iterator[None]:
    """Turn what a model raises on a batch that does not fit it into `OgaError`; a lack of memory stays one."""
    try:
        with model_runs(batch):
            yield
    except OutOfMemory as error:
        raise MemoryError(str(error)) from error


def readable_batch(task: Task, samples: SampleSet, rows: NDArray[np.int64]) -> Batch | None:
    """The batch of those of `rows` that can be decoded, None where none can."""
    try:
        return task.batch(samples, rows)
    except UnreadableSample:
        readable = [row for row in rows if _is_readable(task, samples, row)]
        return task.batch(samples, np.array(readable, dtype=np.int64)) if readable else None


def _is_readable(task: Task, samples: SampleSet, row: int) -> bool:
    try:
        task.batch(samples, np.array([row], dtype=np.int64))
    except UnreadableSample:
        return False
    return True


def _shape(outputs: Tensor, samples: SampleSet, *, own_loss: bool) -> Check:
    shape = tuple(outputs.shape)
    if samples.modality == "preference":
        return Check("shape", "ok", "One margin a pair.")
    if own_loss:
        return Check("shape", "ok", f"The model answers with shape {shape}, which its own loss takes.")
    if samples.target == "number":
        told = f"The model answers with shape {shape}; its loss compares one number a sample, (batch, 1)."
        return Check("shape", "ok" if shape[1:] == (1,) else "failure", told)
    if samples.target == "tags":
        fits = outputs.ndim == 3 and shape[2] == len(samples.class_names)
        wanted = f"one logit for each of {len(samples.class_names)} tags and every token, (batch, tokens, classes)"
        return Check("classes", "ok" if fits else "failure", f"The model answers with shape {shape}; {wanted} is due.")
    if samples.target == "mask":
        fits = outputs.ndim == 4 and shape[1] == len(samples.class_names)
        wanted = f"one logit for each of {len(samples.class_names)} classes and every pixel, (batch, classes, h, w)"
        return Check("classes", "ok" if fits else "failure", f"The model answers with shape {shape}; {wanted} is due.")
    if not samples.target:
        told = f"The model answers with shape {shape}, language models need (batch, time, vocabulary)."
        return Check("shape", "ok" if outputs.ndim == 3 else "failure", told)
    if outputs.ndim != 2:
        return Check("shape", "failure", f"The model answers with shape {shape}; a classifier needs (batch, classes).")
    n_classes = len(samples.class_names)
    if shape[1] != n_classes:
        told = f"The model has {shape[1]} logits and the data {n_classes} classes. "
        if shape[1] == 1 and all(map(is_number, samples.class_names)):
            return Check("classes", "failure", told + NAME_THE_LOSS)
        return Check("classes", "failure", told + "List every class in the model card, in the order of the logits.")
    what = "classes" if samples.target == "class" else "labels"
    return Check("classes", "ok", f"{n_classes} logits for {n_classes} {what}.")


def _finite(outputs: Tensor) -> Check:
    if bool(torch.isfinite(outputs).all()):
        return Check("finite", "ok", "All outputs are finite.")
    return Check(
        "finite",
        "failure",
        "The model answers with NaN or infinity. Check mean, std and image_size in the model card, and the weights.",
    )


def _repeatable(outputs: Tensor, again: Tensor) -> Check:
    error = relative_error(outputs, again)
    if error <= _TOLERANCE:
        return Check("repeatable", "ok", "Two passes give the same outputs.", {"error": error})
    return Check(
        "repeatable",
        "failure",
        f"Two passes over the same samples differ by {error:.2g}: dropout is active or the model is random. "
        "Export it after model.eval().",
        {"error": error},
    )


def _independent(outputs: Tensor, alone: Sequence[Tensor]) -> Check:
    error = max(relative_error(_cut(outputs[i : i + 1], single), single) for i, single in enumerate(alone))
    if error <= _TOLERANCE:
        return Check("independent", "ok", "A sample's outputs do not depend on its batch.", {"error": error})
    return Check(
        "independent",
        "failure",
        f"A sample alone and in a batch gets logits that differ by {error:.2g}: batch norm in training mode, "
        "or a batch size written into the model. Export it after model.eval() with a dynamic batch.",
        {"error": error},
    )


def _causal(model: nn.Module, task: Task, batch: Batch) -> Check:
    """Whether the logits before a token stay the same when it changes, as they must where it is to be predicted."""
    longest = one_sample(batch, int(batch["attention_mask"].sum(dim=1).argmax()))
    # The last but one: some decoders begin with a copy of the last, which names the language.
    at = max(1, int(longest["attention_mask"].sum()) - 2)
    ids = longest["input_ids"].clone()
    ids[0, at] = ids[0, at - 1] if ids[0, at - 1] != ids[0, at] else (ids[0, at] + 1) % _OTHER_TOKENS
    with torch.no_grad(), explained(longest):
        before = task.outputs(model, longest).float()[:, :at]
        after = task.outputs(model, {**longest, "input_ids": ids}).float()[:, :at]
    error = relative_error(after, before)
    if error <= _CAUSAL_TOLERANCE:
        return Check("causal", "ok", "No token is predicted from itself.", {"error": error})
    return Check(
        "causal",
        "failure",
        f"The model sees the tokens that it is to predict: its logits change by {error:.2g} where only a later token "
        "does. It is a masked or permuted language model, whose training loss is another one. Score a causal model, or "
        "fine-tune this one as a classifier.",
        {"error": error},
    )


def _cut(outputs: Tensor, single: Tensor) -> Tensor:
    # A batch is padded to its longest sample; only the positions of the sample alone compare.
    return outputs[:, : single.shape[1]] if outputs.ndim > 1 else outputs


def relative_error(a: Tensor, b: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    if a.shape != b.shape:
        return float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-6))


def _parameters(model: nn.Module) -> Check:
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if trainable:
        return Check("parameters", "ok", f"{trainable:,} trainable parameters.", {"trainable": trainable})
    return Check(
        "parameters",
        "failure",
        "The model has no trainable parameters, so it has no gradients. Load it with trainable weights.",
    )


def check_labels(
    logits: NDArray[np.float32], given_labels: NDArray[np.int64], class_names: Sequence[str]
) -> list[Check]:
    """Compare predictions with given labels: label order, memorisation, classes that look swapped.

    The label order fails where another assignment of classes (Hungarian method) raises the accuracy by 0.10 or more
    and to 1.5 times or more; `detail["classes"]` is then the order that the model seems to use.
    """
    from scipy.optimize import linear_sum_assignment

    n_classes = len(class_names)
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((n_classes, n_classes))
    np.add.at(confusion, (given_labels, predicted), 1)
    accuracy = float(confusion.trace() / confusion.sum())
    given, matched = linear_sum_assignment(-confusion)
    best = float(confusion[given, matched].sum() / confusion.sum())
    order = [class_names[given[np.flatnonzero(matched == logit)[0]]] for logit in range(n_classes)]
    numbers = {"accuracy": accuracy, "best_accuracy": best}
    if best - accuracy >= 0.10 and best >= 1.5 * accuracy:
        message = (
            f"The model's classes seem to be in another order: {accuracy:.0%} of the given labels are predicted as "
            f"listed, {best:.0%} with the classes in the order: {', '.join(order)}. Put this order into the model card."
        )
        return [Check("label_order", "failure", message, {**numbers, "classes": order})]
    checks = [Check("label_order", "ok", f"The model predicts {accuracy:.1%} of the given labels.", numbers)]
    swapped = [class_names[c] for c in range(n_classes) if matched[c] != c and confusion[c].sum() > 0]
    if swapped:
        message = (
            f"These classes are predicted as one another more often than as themselves: {', '.join(swapped)}. "
            "Check their order in the model card."
        )
        checks.append(Check("swapped_classes", "warning", message, {"classes": swapped}))
    return [*checks, *check_memorised(accuracy)]


def check_views(
    logits: NDArray[np.float32], views: Sequence[NDArray[np.float32]], given_labels: NDArray[np.int64]
) -> Check:
    """Compare predictions on test-time views with those on the samples: are they still pictures of the same classes?

    logits and each of views: `(n_samples, n_classes)`. A mirrored digit or letter is no longer what it was. Views are
    usable when the classes that the model recognises, by the mean probability of their samples, stay recognised for
    nine samples in ten. Accuracy would not tell: on views even a memorised model errs where its labels are wrong.
    """
    n_classes = logits.shape[1]
    recognised = _mean_prediction(logits, given_labels, n_classes) == np.arange(n_classes)
    counted = recognised[given_labels]
    agreements = [
        (_mean_prediction(view, given_labels, n_classes) == np.arange(n_classes))[given_labels] for view in views
    ]
    share = min((float(stays[counted].mean()) for stays in agreements), default=0.0) if counted.any() else 0.0
    usable = share >= _VIEWS_KEPT
    message = (
        "Mirrored and shifted copies are recognised as the same classes, so predictions are averaged over them."
        if usable
        else "Mirrored and shifted copies are taken for other classes, so only the samples themselves are used."
    )
    return Check("views", "ok", message, {"usable": usable, "share": share})


def _mean_prediction(logits: NDArray[np.float32], given_labels: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """The class that the samples of every given class get on average, `(n_classes,)`."""
    totals = np.zeros((n_classes, n_classes))
    np.add.at(totals, given_labels, softmax(logits))
    return totals.argmax(axis=1)


def check_memorised(accuracy: float) -> list[Check]:
    """Warn where the model reproduces nearly every given label, because its last layer then hides the wrong ones."""
    if accuracy < MEMORISED_ACCURACY:
        return []
    message = (
        f"The model reproduces {accuracy:.1%} of the given labels. If it was trained on them it may have memorised the "
        "wrong ones too, and scores from its last layer then say little. Prefer a checkpoint from earlier in training."
    )
    return [Check("memorised", "warning", message, {"accuracy": accuracy})]
