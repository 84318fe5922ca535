"""The losses that a model card can name: each one number a sample, as torch's own losses with reduction="none"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.samples import LOSSES, OWN, SampleSet, Target

if TYPE_CHECKING:
    from oga_core.models.card import ModelCard
    from oga_core.models.packaging.own_loss import OwnLoss


@dataclass(frozen=True)
class Loss:
    """A loss with its settings; called with outputs `(batch, n_outputs)` and labels it returns `(batch,)`;
    of words with outputs `(batch, time, n_outputs)`, the mean over the words of each sentence, and of pixels with
    outputs `(batch, n_outputs, height, width)` the mean over those that have a class.

    class_weights: of cross-entropy, in the order of the classes, () for none. mean, std: the model gives numbers as
    (number - mean) / std, and so the loss sees them. delta: of Huber's loss, where squares end and lines begin.
    own, own_target: the function of a loss of one's own, and what it compares outputs with.
    """

    name: str = "cross_entropy"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    delta: float = 1.0
    own: OwnLoss | None = None
    own_target: Target = "class"

    @classmethod
    def from_card(cls, card: ModelCard) -> Loss:
        """Read the card's loss; raises `OgaError` for a setting that no training could have had."""
        if card.loss["name"] == OWN:
            return cls(OWN, own_target=card.target)
        settings = {key: value for key, value in card.loss.items() if key != "name"}
        weights = settings.pop("class_weights", [])
        settings.pop("ignore", None)  # which the reader of masks has turned into `UNCOUNTED`
        numbers: dict[str, Any] = _numbers(settings)
        loss = cls(card.loss["name"], class_weights=_weights(weights, card), **numbers)
        if not 0 <= loss.label_smoothing < 1:
            raise _wrong("label_smoothing", "a number from 0 to below 1", loss.label_smoothing)
        for setting in ("std", "delta"):
            if not getattr(loss, setting) > 0:
                raise _wrong(setting, "a number above 0", getattr(loss, setting))
        return loss

    @property
    def target(self) -> Target:
        """What the outputs are compared with."""
        return self.own_target if self.name == OWN else LOSSES[self.name][0]

    @property
    def has_logits(self) -> bool:
        """Whether the outputs are logits of classes, one class a sample; of a loss of one's own that is not known."""
        return self.target == "class" and self.name != OWN

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of every sample, differentiable in the outputs."""
        if self.own is not None:
            return self.own(outputs.float(), labels)
        return FUNCTIONS[self.name](self, outputs.float(), labels)

    def columns(self, outputs: Tensor) -> Tensor:
        """Outputs as `(batch, n_outputs)`: a model of numbers may give `(batch,)`."""
        if self.own is not None:
            return self.own.columns(outputs)
        return outputs.unsqueeze(-1) if self.target == "number" and outputs.ndim == 1 else outputs

    def in_data_units(self, outputs: Tensor) -> Tensor:
        """Outputs as the data writes numbers; those of other losses as they are."""
        return outputs * self.std + self.mean


PLAIN = Loss()
UNCOUNTED = -100
"""Stands where a token has no tag and a pixel no class, as torch and transformers have it."""


def loss_of(task: Any) -> Loss:
    """The loss of a task; plain cross-entropy for one that names none."""
    loss = getattr(task, "loss", PLAIN)
    return loss if isinstance(loss, Loss) else PLAIN


def labels_at(samples: SampleSet, rows: NDArray[np.int64]) -> Tensor:
    """What the loss compares with at `rows`: class indices, or the targets in float32."""
    if samples.targets is None:
        return torch.from_numpy(samples.given_labels[rows])
    return torch.from_numpy(samples.targets[rows].astype(np.float32))


def _cross_entropy(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    weights = torch.tensor(loss.class_weights, device=outputs.device) if loss.class_weights else None
    return F.cross_entropy(outputs, labels, weights, reduction="none", label_smoothing=loss.label_smoothing)


def _binary(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, labels, reduction="none").mean(dim=1)


def errors(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    """Outputs minus numbers in the units that the model was trained in, `(batch,)`."""
    return outputs[:, 0] - (labels - loss.mean) / loss.std


def _huber(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    distance = errors(loss, outputs, labels)
    return F.huber_loss(distance, torch.zeros_like(distance), reduction="none", delta=loss.delta)


def _of_words(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    return _of_pixels(loss, outputs.movedim(-1, 1), labels)


def _of_pixels(loss: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(outputs, labels, reduction="none", ignore_index=UNCOUNTED)
    return losses.flatten(1).sum(dim=1) / (labels != UNCOUNTED).flatten(1).sum(dim=1).clamp(min=1)


FUNCTIONS: dict[str, Callable[[Loss, Tensor, Tensor], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary,
    "token_cross_entropy": _of_words,
    "pixel_cross_entropy": _of_pixels,
    "mean_squared_error": lambda *parts: errors(*parts).square(),
    "mean_absolute_error": lambda *parts: errors(*parts).abs(),
    "huber": _huber,
}
"""What each loss of `LOSSES` computes: from its settings, outputs and labels one number a sample."""


def _weights(value: Any, card: ModelCard) -> tuple[float, ...]:
    numbers = isinstance(value, list) and all(_is_number(weight) and weight > 0 for weight in value)
    if not numbers or (value and card.classes and len(value) != len(card.classes)):
        raise _wrong("class_weights", f"a list of {len(card.classes)} numbers above 0, one a class", value)
    return tuple(map(float, value))


def _numbers(settings: dict[str, Any]) -> dict[str, float]:
    for setting, value in settings.items():
        if not _is_number(value):
            raise _wrong(setting, "a number", value)
    return {setting: float(value) for setting, value in settings.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(setting: str, allowed: str, value: Any) -> OgaError:
    return OgaError(f"{setting!r} of the loss in the model card must be {allowed}, got {value!r}.")
