"""The loss of a model that is packaged: a name, an entry of the model card, torch's own loss, or any function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import nn

from oga_core.errors import OgaError
from oga_core.models.card import CROSS_ENTROPY
from oga_core.models.packaging.own_loss import LossFunction
from oga_core.samples import OWN

GivenLoss = str | Mapping[str, Any] | nn.Module | LossFunction

_FUNCTIONS: Mapping[Any, str] = {
    F.cross_entropy: "cross_entropy",
    F.binary_cross_entropy_with_logits: "binary_cross_entropy",
    F.mse_loss: "mean_squared_error",
    F.l1_loss: "mean_absolute_error",
    F.huber_loss: "huber",
    F.smooth_l1_loss: "huber",  # which is the same where it ends at 1
}


def loss_entry(loss: GivenLoss | None) -> Mapping[str, Any] | None:
    """Return the loss as the model card has it; None for a function that has no name there.

    Raises `OgaError` for what is no function.
    """
    if loss is None:
        return CROSS_ENTROPY
    if OWN in (loss, loss.get("name") if isinstance(loss, Mapping) else ""):
        raise OgaError("The loss of one's own must be given as a function or module: package_model(…, loss=my_loss).")
    if isinstance(loss, str):
        return {"name": loss}
    if isinstance(loss, Mapping):
        return loss
    if isinstance(loss, nn.Module):
        return _of_module(loss)
    if not callable(loss):
        raise OgaError(f"loss is {loss!r}. Give a name, torch's own loss, or a function of (outputs, target).")
    return {"name": _FUNCTIONS[loss]} if loss in _FUNCTIONS else None


def _of_module(loss: nn.Module) -> Mapping[str, Any] | None:
    if isinstance(loss, nn.CrossEntropyLoss):
        weights = {} if loss.weight is None else {"class_weights": loss.weight.tolist()}
        smoothing = {"label_smoothing": loss.label_smoothing} if loss.label_smoothing else {}
        return {**CROSS_ENTROPY, **smoothing, **weights}
    if isinstance(loss, nn.MSELoss):
        return {"name": "mean_squared_error"}
    if isinstance(loss, nn.L1Loss):
        return {"name": "mean_absolute_error"}
    if isinstance(loss, nn.HuberLoss):
        return {"name": "huber", "delta": loss.delta}
    if isinstance(loss, nn.BCEWithLogitsLoss) and loss.weight is None and loss.pos_weight is None:
        return {"name": "binary_cross_entropy"}
    if isinstance(loss, nn.SmoothL1Loss) and loss.beta == 1:  # Huber's loss over β
        return {"name": "huber", "delta": 1.0}
    return None
