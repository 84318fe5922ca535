"""The task of a live model: its own inputs, its own loss, one number a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradients.batches import to_device
from oga_core.live.dataset import LiveData
from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import chosen_output, logits_of, output_note, outputs_in
from oga_core.models.packaging.losses import loss_entry
from oga_core.models.packaging.modes import eval_mode
from oga_core.models.packaging.own_loss import OwnLoss
from oga_core.samples import LOSSES, OWN, SampleSet, Target
from oga_core.tasks.language.late_head import IGNORED, next_token_losses
from oga_core.tasks.losses import Loss
from oga_core.tasks.task import Batch


@dataclass(frozen=True)
class LiveTask:
    """Batches of a `LiveData`, the model called as the caller calls it, and the caller's loss of every sample.

    loss: one that a model card could name, or the caller's own. target: what it compares with, None where the labels
    are tokens or of a shape that no run can hold.
    """

    data: LiveData
    loss: Loss
    target: Target | None

    @classmethod
    def of(cls, data: LiveData, loss: Any) -> LiveTask:
        """Choose how the loss is taken one sample at a time; raises `OgaError` for what is no function."""
        if not callable(loss):
            raise OgaError(f"loss is {loss!r}. Give a function of (outputs, labels), such as F.cross_entropy.")
        if not len(data):
            raise OgaError("The dataset is empty. Give at least one sample.")
        first = data.batch([0])["labels"]
        if is_cross_entropy(loss) and first.ndim == 2 and "input_ids" in data.batch([0]):
            return LiveTokens(data, Loss(OWN, own=OwnLoss(_token_losses)), None)
        target = target_of(data)
        return cls(data, _loss(loss, target), target)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Return the items at `rows`, as the caller's `collate_fn` makes them."""
        return self.data.batch(samples.row_numbers[rows])

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model on positional inputs, or on named ones where the items are mappings."""
        return self.loss.columns(logits_of(_answer(model, batch)))

    def notes(self, model: nn.Module) -> list[str]:
        """Say which of several outputs is taken."""
        two = self.data.batch([0, 0])  # a model may not take a single one
        with eval_mode(model), torch.no_grad():
            described, _ = outputs_in(_answer(model, to_device(two, torch.device(device_of(model)))))
        note = output_note(described, chosen_output(described))
        return [note] if note else []

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the caller's loss of every sample, `(batch,)`."""
        labels = batch["labels"]
        return self.loss(outputs, labels if self.loss.own or self.target != "number" else labels.reshape(-1))

    @property
    def loss_entry(self) -> dict[str, Any]:
        """The loss as a run says it."""
        return {"name": self.loss.name, **({"target": self.target} if self.loss.own else {})}

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
                "next. oga.score(model, dataset, tokenizer=tokenizer) scores its words; here give a loss of your own."
            )
        return super().outputs(model, batch)

    def token_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of every token but the first, `(batch, time - 1)`, zero where none is trained on."""
        return next_token_losses(outputs, batch["labels"])

    def mean_losses(self, token_losses: Tensor, batch: Batch) -> Tensor:
        """Return the mean over the tokens that are trained on, `(batch,)`."""
        return _mean_over_tokens(token_losses, batch["labels"])


def _answer(model: nn.Module, batch: Batch) -> Any:
    """What the model returns for inputs that are float64 where its weights are, and nowhere else."""
    batch = _as_weights(model, batch)
    positional = [name for name in batch if name.startswith("input_") and name[6:].isdecimal()]
    options = {name: value for name, value in batch.items() if name not in positional and name != "labels"}
    return model(*(batch[name] for name in positional), **options)


def _as_weights(model: nn.Module, batch: Batch) -> Batch:
    """The inputs; numpy's float64 is not meant for weights in float32, nor float32 for those in float64."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)

    def fitted(value: Any) -> Any:
        differs = isinstance(value, Tensor) and value.is_floating_point() and value.dtype != dtype
        return value.to(dtype) if dtype and differs and torch.float64 in (dtype, value.dtype) else value

    return {name: value if name == "labels" else fitted(value) for name, value in batch.items()}


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


def _loss(loss: Any, target: Target | None) -> Loss:
    """The loss as a model card would name it where the labels are of its kind, else the caller's own."""
    entry = loss_entry(loss)
    if entry is not None and target is not None and LOSSES[entry["name"]][0] == target:
        return Loss.from_card(ModelCard("outputs", (), loss=entry))
    own = _token_losses if is_cross_entropy(loss) else loss
    return Loss(OWN, own=OwnLoss(own), own_target=target or "vector")


def target_of(data: LiveData) -> Target | None:
    """What the labels of the items are, None where there are none or they have more than two axes."""
    labels = data.labels
    if labels is None or labels.dtype.kind not in "fiub" or labels.ndim > 2:
        return None
    if labels.ndim == 1 or labels.shape[1] == 1:
        return "class" if labels.ndim == 1 and labels.dtype.kind in "iu" else "number"
    return "labels" if np.isin(labels, (0, 1)).all() else "vector"


def _token_losses(outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of one class a sample, or the mean over the tokens that are trained on, each by those before it."""
    if outputs.ndim < 3 or labels.ndim != 2:
        return F.cross_entropy(outputs, labels, reduction="none")
    return _mean_over_tokens(next_token_losses(outputs, labels), labels)


def _mean_over_tokens(losses: Tensor, labels: Tensor) -> Tensor:
    return losses.sum(1) / (labels[:, 1:] != IGNORED).sum(1).clamp(min=1)
