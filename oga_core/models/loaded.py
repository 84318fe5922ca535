"""A model that was loaded without running any code of the file it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from oga_core.models.card import ModelCard
from oga_core.models.packaging.own_loss import OwnLoss


@dataclass(frozen=True)
class LoadedModel:
    """The module in eval mode, its card, and what a task needs beside it.

    format: `pt2`, `huggingface`, `peft`, `safetensors`, `state_dict` or `skops`.
    tokenizer: for text and language models in the Hugging Face format, else None.
    notes: sentences for the person (a converted dtype, a rewritten op).
    own_loss: the function that its card calls own.
    """

    module: nn.Module
    card: ModelCard
    format: str
    tokenizer: Any | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    own_loss: OwnLoss | None = None
