"""Brings data and model together: labels numbered as the model does, and the task that prepares its inputs."""

from __future__ import annotations

from oga_core.models.loaded import LoadedModel
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for


def prepare(samples: SampleSet, loaded: LoadedModel, trained_on: str | None = None) -> tuple[SampleSet, Task]:
    """Read the labels as the model's loss does and choose the task; raises `OgaError` where data and model do not fit.

    trained_on: of rows for a language model, in place of what the card says.
    """
    samples, card = loaded.card.with_trained_on(trained_on).fitted(samples)
    return samples, task_for(card, loaded.tokenizer)
