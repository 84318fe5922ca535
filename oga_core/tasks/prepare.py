"""Brings data and model together: labels numbered as the model does, and the task that prepares its inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.loaded import LoadedModel
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for
from oga_core.tasks.language.late_head import output_layer


def prepare(samples: SampleSet, loaded: LoadedModel, trained_on: str | None = None) -> tuple[SampleSet, Task]:
    """Read the labels as the model's loss does and choose the task; raises `OgaError` where data and model do not fit.

    trained_on: of rows for a language model, in place of what the card says.
    """
    samples, card = loaded.card.with_trained_on(trained_on).fitted(samples)
    return samples, task_for(card, loaded.tokenizer, loaded.own_loss)


def with_reference(task: Task, loaded: LoadedModel, path: str | None) -> Task:
    """Return the task with the model at `path`, if any, that preference pairs are measured against.

    Raises `OgaError` for other data, and for a model of another vocabulary.
    """
    if path is None:
        return task
    from oga_core.tasks.preference import PreferenceTask  # with what reads rows of language models

    if not isinstance(task, PreferenceTask):
        raise OgaError("A reference model belongs to preference pairs, and this data has none. Leave it out.")
    reference = load_model(Path(path)).module
    sizes = [len(layer.weight) for model in (loaded.module, reference) if (layer := output_layer(model)) is not None]
    if len(set(sizes)) > 1:
        raise OgaError(
            f"The reference model has {sizes[1]:,} tokens and the model {sizes[0]:,}. Give the model that the training "
            "began with."
        )
    return replace(task, reference=reference.eval().requires_grad_(False))
