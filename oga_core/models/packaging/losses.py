"""The loss of a model that is packaged: a name, an entry of the model card, or the module of torch itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from oga_core.errors import OgaError
from oga_core.models.card import CROSS_ENTROPY
from oga_core.samples import LOSSES

GivenLoss = str | Mapping[str, Any] | nn.Module


def loss_entry(loss: GivenLoss | None) -> Mapping[str, Any]:
    """Return the loss as the model card has it; raises `OgaError` for a module of torch without a name there."""
    if loss is None:
        return CROSS_ENTROPY
    if isinstance(loss, str):
        return {"name": loss}
    if isinstance(loss, nn.Module):
        return _of_module(loss)
    return loss


def _of_module(loss: nn.Module) -> Mapping[str, Any]:
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
    raise OgaError(f"The loss {type(loss).__name__} has no name in a model card. Use one of: {', '.join(LOSSES)}.")
