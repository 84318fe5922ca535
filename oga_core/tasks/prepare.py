"""Brings data and model together: labels numbered as the model does, and the task that prepares its inputs."""

from __future__ import annotations

from dataclasses import replace

from oga_core.errors import OgaError
from oga_core.models.loaded import LoadedModel
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for


def prepare(samples: SampleSet, loaded: LoadedModel, trained_on: str | None = None) -> tuple[SampleSet, Task]:
    """Number the labels as the model does and choose the task; raises `OgaError` where data and model do not fit.

    trained_on: of rows for a language model, in place of what the card says.
    """
    card = loaded.card.with_trained_on(trained_on)
    if (samples.modality, card.modality) == ("preference", "causal_lm"):
        card = replace(card, modality="preference")  # the same models, trained on pairs
    if samples.modality != card.modality:
        raise OgaError(
            f"The model card says modality {card.modality!r} but the data reads as {samples.modality!r}. "
            "Correct the modality in the model card, or choose the columns of the data."
        )
    if samples.class_names:
        card = card if card.classes else replace(card, classes=samples.class_names)
        samples = samples.with_classes(card.classes)
    return samples, task_for(card, loaded.tokenizer)
