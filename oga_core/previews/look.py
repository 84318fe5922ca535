"""The worker's part of what is shown of data before they are scored: some samples, classes, and what does not fit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oga_core.models.card import ModelCard
from oga_core.numerics import Indices, evenly_spaced
from oga_core.previews.content import Preview
from oga_core.previews.drawing import picture, preview
from oga_core.readers import read_samples
from oga_core.readers.targets import with_targets
from oga_core.samples import SampleSet, UnreadableSample, number_text
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.tasks import Task

_SHOWN_SAMPLES = 8
_SIDE = 160  # pixels of a picture
_NAMED_CLASSES = 200
_MASKS = 200  # that are decoded to count their classes, in a second


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Read the data at `path` with `options`, as the model with this `card` would where one is given.

    Returns the size, modality, classes in the order of the model or, where that is not known, of the data, with the
    number of samples (for tags, of words; of masks of those that were looked at) of each, or the range of its numbers;
    the first problem; what is not read; which columns feed which of several inputs; and some samples, each with its
    label.
    Raises `OgaError` where the data and the card do not fit.
    """
    samples = read_samples(Path(arguments["path"]), **arguments["options"])
    card = ModelCard.from_json(arguments["card"], "of the model") if arguments["card"] else None
    is_ordered = bool(card and card.classes)
    if card is not None:
        samples, card = card.fitted(samples)
    elif "words" in samples.source.columns or samples.masks is not None:
        samples = with_targets(samples, None if samples.masks is not None else "tags", ())
    labels = _labels(samples)
    counts = np.bincount(labels, minlength=len(samples.class_names)) if samples.class_names else np.zeros(0)
    return {
        "n_samples": len(samples),
        "n_classes": int((counts > 0).sum()),
        "classes": list(zip(samples.class_names[:_NAMED_CLASSES], counts.tolist(), strict=False)),
        "n_known": len(samples.class_names),
        "is_ordered": is_ordered,
        "numbers": _range(samples),
        "has_tags": samples.target == "tags",
        "n_masks": min(len(samples), _MASKS) if samples.target == "mask" else 0,
        "modality": samples.modality,
        "notes": list(samples.notes),
        "inputs": inputs_in_words(card) if card is not None else [],
        "n_problems": len(samples.problems),
        "first_problem": samples.problems[0].reason if samples.problems else "",
        "samples": _shown(samples, card),
    }


def inputs_in_words(card: ModelCard) -> list[str]:
    """What each of several inputs of a model is made of, a line each; none where it has one."""
    section = card.input.get("columns") if card.modality == "image" else card.input
    features = section.get("features") if isinstance(section, dict) else None
    if not isinstance(features, dict) or not isinstance(section, dict):
        return []
    categories = section.get("categories", {})
    beside = [
        f"{name}: {', '.join(f'{column} (category)' if column in categories else column for column in columns)}"
        for name, columns in features.items()
    ]
    return [f"{card.input.get('image', 'image')}: the image", *beside] if card.modality == "image" else beside


def _labels(samples: SampleSet) -> Indices:
    """The class indices to count: of samples, of words, or of those that are in each of some masks."""
    if samples.tags is not None:
        return np.concatenate(samples.tags)
    if samples.masks is None:
        return samples.given_labels[samples.given_labels >= 0]
    present: list[int] = []
    for row in evenly_spaced(np.arange(len(samples)), _MASKS).tolist():
        with suppress(UnreadableSample):
            present += [index for index in np.unique(samples.masks[row]).tolist() if index >= 0]
    return np.array(present, dtype=np.int64)


def _shown(samples: SampleSet, card: ModelCard | None) -> list[dict[str, Any]]:
    task = _task(card)
    rows = evenly_spaced(np.arange(len(samples)), _SHOWN_SAMPLES)
    return [{**asdict(_sample(samples, int(row), task)), "label": _label(samples, int(row))} for row in rows]


def _task(card: ModelCard | None) -> Task | None:
    """What prepares the samples for the model, where that changes what is seen of them."""
    if card is None or (card.modality, bool(card.input)) not in (("image", True), ("tabular", True)):
        return None
    from oga_core.tasks import task_for  # with torch, which takes seconds

    return task_for(card)


def _sample(samples: SampleSet, row: int, task: Task | None) -> Preview:
    if samples.masks is not None:
        from oga_core.previews.masks import masked_picture  # few data sets have them

        return masked_picture(samples, row, _SIDE)
    if task is None:
        return preview(samples, row, _SIDE)
    try:
        if samples.modality == "image":
            return _pixels(samples.inputs[row], task)
        task.batch(samples, np.array([row]))
    except (UnreadableSample, OSError, ValueError) as error:
        return Preview(unreadable=f"This sample cannot be read: {error}")
    shown = preview(samples, row, _SIDE)
    values = dict(shown.fields)
    features = getattr(task, "features", tuple(values))
    return replace(shown, fields=tuple((name, values[name]) for name in features if name in values))


def _pixels(image: Any, task: Any) -> Preview:
    from PIL import Image

    pixels = task.pixels(image)
    return picture(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), _SIDE)


def _label(samples: SampleSet, row: int) -> str | None:
    try:
        return samples.label_text(row) or None
    except UnreadableSample:
        return None


def _range(samples: SampleSet) -> list[str]:
    """The smallest and the largest of the numbers that the model predicts; none where it predicts something else."""
    if samples.targets is None or samples.target != "number" or not len(samples):
        return []
    return [number_text(float(samples.targets.min())), number_text(float(samples.targets.max()))]
