"""Tasks: one per modality, chosen by the model card."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from oga_core.errors import unknown
from oga_core.models.card import ModelCard
from oga_core.tasks.task import Batch, Task

if TYPE_CHECKING:
    from oga_core.models.packaging.own_loss import OwnLoss

__all__ = ["Batch", "Task", "task_for"]


def task_for(card: ModelCard, tokenizer: Any | None = None, own_loss: OwnLoss | None = None) -> Task:
    """Return the task that prepares inputs and losses as the model card says.

    own_loss: the function that the card calls own. Raises `OgaError` for a modality without a task and for a card that
    lacks what its modality needs.
    """
    task = _task_for(card, tokenizer)
    if own_loss is None:
        return task
    named: Any = task  # the tasks whose card may name a loss have it as a field
    return cast("Task", replace(named, loss=replace(named.loss, own=own_loss)))


def _task_for(card: ModelCard, tokenizer: Any | None) -> Task:
    if card.modality == "image" and card.target == "mask":
        from oga_core.tasks.segmentation.mask_task import MaskTask

        return MaskTask.from_card(card)
    if card.modality == "image":
        from oga_core.tasks.image import ImageTask

        return ImageTask.from_card(card)
    if card.modality == "tabular":
        from oga_core.tasks.tabular import TabularTask

        return TabularTask.from_card(card)
    if card.modality == "text" and card.target == "tags":
        from oga_core.tasks.tags import TagTask

        return TagTask.from_card(card, tokenizer)
    if card.modality == "text":
        from oga_core.tasks.text import TextTask

        return TextTask.from_card(card, tokenizer)
    if card.modality == "causal_lm" and card.input.get("encoder_decoder") is True:
        from oga_core.tasks.seq2seq import Seq2SeqTask

        return Seq2SeqTask.from_card(card, tokenizer)
    if card.modality == "causal_lm":
        from oga_core.tasks.causal_lm import CausalLMTask

        return CausalLMTask.from_card(card, tokenizer)
    if card.modality == "preference":
        from oga_core.tasks.preference import PreferenceTask

        return PreferenceTask.from_card(card, tokenizer)
    raise unknown("modality", card.modality, ["image", "text", "tabular", "causal_lm", "preference"])
