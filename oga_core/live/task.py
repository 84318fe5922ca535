"""The task of a live model: its own inputs, its own loss, one number a sample."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.live.dataset import LiveData
from oga_core.samples import SampleSet
from oga_core.tasks.task import Batch, classification_losses, first_output

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100
"""The label of a token that is not trained on, by torch's and Hugging Face's convention."""


@dataclass(frozen=True)
class LiveTask:
    """Batches of a `LiveData`, the model called as the caller calls it, and the caller's loss of every sample.

    classifies: whether the loss is plain cross-entropy on one class a sample; then the head's closed form holds, and
    scores from logits are there. Other outputs are handed on with a third axis, which the engine takes for no classes.
    """

    data: LiveData
    loss: Loss
    classifies: bool

    @classmethod
    def of(cls, data: LiveData, loss: Any) -> LiveTask:
        """Choose how the loss is taken one sample at a time; raises `OgaError` for what is no function."""
        if not callable(loss):
            raise OgaError(f"loss is {loss!r}. Give a function of (outputs, labels), such as F.cross_entropy.")
        if not len(data):
            raise OgaError("The dataset is empty. Give at least one sample.")
        first = data.batch([0])["labels"]
        plain = is_cross_entropy(loss) and not first.is_floating_point()
        kind = LiveTokens if plain and first.ndim == 2 and "input_ids" in data.batch([0]) else cls
        return kind(data, per_sample(loss), plain and first.ndim == 1)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Return the items at `rows`, as the caller's `collate_fn` makes them."""
        return self.data.batch(samples.row_numbers[rows])

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model on positional inputs, or on named ones where the items are mappings."""
        positional = [name for name in batch if name.startswith("input_") and name[6:].isdecimal()]
        options = {name: value for name, value in batch.items() if name not in positional and name != "labels"}
        outputs = first_output(model(*(batch[name] for name in positional), **options))
        return outputs if self.classifies or outputs.ndim > 2 else outputs.reshape(len(outputs), 1, -1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the caller's loss of every sample, `(batch,)`."""
        labels = batch["labels"]
        if self.classifies:
            return classification_losses(outputs, batch)
        if outputs.ndim == 3 and outputs.shape[1] == 1 and labels.ndim < 3:
            outputs = outputs.reshape(len(outputs), -1)
            outputs = outputs[:, 0] if outputs.shape[1] == 1 and labels.ndim == 1 else outputs
        return self.loss(outputs, labels)

    def views(self, batch: Batch) -> list[Batch]:
        """None: which changes keep the meaning of a sample is the caller's to know."""
        return []


class LiveTokens(LiveTask):
    """A language model under plain cross-entropy, which has a loss for every token."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model; raises `OgaError` for one of tags, whose labels are not the tokens that come next."""
        if type(model).__name__.endswith("ForTokenClassification"):
            raise OgaError(
                f"{type(model).__name__} gives every token a tag, and cross-entropy here is of the token that comes "
                "next. Score it from its folder: model.save_pretrained(folder) and tokenizer.save_pretrained(folder), "
                "with rows that have lists of tokens and tags; or give a loss of your own."
            )
        return super().outputs(model, batch)

    def token_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of every token but the first, `(batch, time - 1)`, zero where none is trained on."""
        return _by_token(outputs, batch["labels"])

    def mean_losses(self, token_losses: Tensor, batch: Batch) -> Tensor:
        """Return the mean over the tokens that are trained on, `(batch,)`."""
        return _mean_over_tokens(token_losses, batch["labels"])


def require_module(model: Any) -> None:
    """Raise `OgaError` unless the model is a module."""
    if not isinstance(model, nn.Module):
        raise OgaError(f"model is {type(model).__name__!r}. Give a torch.nn.Module, or the path of a model's file.")


def device_of(model: nn.Module) -> str:
    """Return the device that the model is on; the CPU for one without parameters."""
    parameter = next(model.parameters(), None)
    return "cpu" if parameter is None else parameter.device.type


def is_cross_entropy(loss: Any) -> bool:
    """Tell plain cross-entropy, without class weights or smoothed labels."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return loss.weight is None and loss.label_smoothing == 0
    return loss is F.cross_entropy


def per_sample(loss: Any) -> Loss:
    """Return the loss as a function to one number a sample, `(batch,)`.

    A loss with `reduction` is asked for none of it; what has more than one number a sample is averaged; a loss that
    returns one number for a batch is taken sample by sample.
    """
    if is_cross_entropy(loss):
        plain: Any = _token_losses
    elif isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        plain = copy.copy(loss)
        plain.reduction = "none"
    elif "reduction" in _parameters(loss):
        plain = functools.partial(loss, reduction="none")
    else:
        plain = loss

    def losses(outputs: Tensor, labels: Tensor) -> Tensor:
        values = plain(outputs, labels)
        if values.ndim == 0:
            values = torch.stack([plain(outputs[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])
        if len(values) != len(labels):
            raise OgaError(f"loss returns {tuple(values.shape)} for {len(labels)} samples. Return one number a sample.")
        return values.float().flatten(1).mean(1) if values.ndim > 1 else values.float()

    return losses


def _token_losses(outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of one class a sample, or the mean over the tokens that are trained on, each by those before it."""
    if outputs.ndim < 3 or labels.ndim != 2:
        return F.cross_entropy(outputs, labels, reduction="none")
    return _mean_over_tokens(_by_token(outputs, labels), labels)


def _by_token(outputs: Tensor, labels: Tensor) -> Tensor:
    logits = outputs[:, :-1].transpose(1, 2).float()
    return F.cross_entropy(logits, labels[:, 1:], reduction="none", ignore_index=IGNORED)


def _mean_over_tokens(losses: Tensor, labels: Tensor) -> Tensor:
    return losses.sum(1) / (labels[:, 1:] != IGNORED).sum(1).clamp(min=1)


def _parameters(function: Any) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()
