"""Labels read as what a loss compares outputs with: as classes, numbers, several labels, tags of words, or masks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.samples import MASK_IGNORED, NO_LABELS, Problem, SampleSet, check_share, is_number, some_names

SEPARATORS = ("|", ";", ",")
"""Between the labels of one cell, the rarest in names first."""


def with_targets(
    samples: SampleSet, target: str | None, class_names: Sequence[str], loss: Mapping[str, Any] | None = None
) -> SampleSet:
    """Return the samples with labels as `target` says; classes are numbered in the order of `class_names`.

    loss: as in the model card, whose settings say what in a mask is no class.

    Raises `OgaError` for a class that is not among them, and where more than 5 % of the labels are no numbers.
    """
    if "mask" in (samples.target, target):
        from oga_core.readers.masks.masks import with_masks  # only masks need it, and chains of imports stay short

        return with_masks(samples, target, class_names, (loss or {}).get("ignore", MASK_IGNORED))
    if samples.target != "class":
        return samples
    _check_tags(samples, target)
    if target == "tags":
        return with_tags(samples, class_names)
    if target == "number":
        return with_numbers(samples)
    if target == "vector":
        return with_vectors(samples)
    return with_flags(samples, class_names) if target == "labels" else samples.with_classes(class_names)


def with_numbers(samples: SampleSet) -> SampleSet:
    """Return the samples with their labels as numbers in `targets`; a label that is no number becomes a problem.

    Raises `OgaError` where more than 5 % of the labels are none.
    """
    numbers = np.array([_number(name) for name in samples.class_names])[samples.given_labels]
    problems = [
        Problem(
            str(samples.ids[i]),
            int(samples.row_numbers[i]),
            f"its label {_short(samples, i)} is not a number{_point(samples, i)}",
        )
        for i in np.flatnonzero(np.isnan(numbers)).tolist()
    ]
    usable = np.flatnonzero(~np.isnan(numbers))
    check_share(samples.source.path.name, problems, len(usable))
    samples = samples if not problems else samples.take(usable)
    return replace(
        samples,
        given_labels=np.full(len(samples), -1, dtype=np.int64),
        class_names=(),
        targets=numbers[usable],
        problems=tuple(sorted((*samples.problems, *problems), key=lambda problem: problem.row)),
    )


def with_vectors(samples: SampleSet) -> SampleSet:
    """Return the samples with their labels as several numbers each in `targets`, `(n_samples, size)`.

    Raises `OgaError` where one holds something else, or they differ in length.
    """
    lists = [labels_in(name) for name in samples.class_names]
    for name, numbers in zip(samples.class_names, lists, strict=True):
        if not all(map(is_number, numbers)) or len(numbers) != len(lists[0]):
            raise OgaError(
                f"The label {name[:60]!r} is no list of {len(lists[0])} numbers. Write those of each sample as a list, "
                "such as [1.5, 2], or name their columns: --label-column x,y."
            )
    given = np.full(len(samples), -1, dtype=np.int64)
    vectors = np.array(lists, dtype=np.float64)[samples.given_labels]
    return replace(samples, given_labels=given, class_names=(), targets=vectors)


def _number(text: str) -> float:
    return float(text) if is_number(text) else math.nan


def with_flags(samples: SampleSet, class_names: Sequence[str]) -> SampleSet:
    """Return the samples with several labels each as 0 and 1 in `targets`, in the order of `class_names`.

    Without `class_names` all labels of the data, sorted. Raises `OgaError` for labels that are not among them.
    """
    lists = [labels_in(name) for name in samples.class_names]
    used = sorted({label for labels in lists for label in labels})
    names = tuple(map(str, class_names)) or tuple(used)
    _check_names(used, names, names)
    flags = np.array([[name in labels for name in names] for labels in lists], dtype=np.float64)
    given = np.full(len(samples), -1, dtype=np.int64)
    return replace(samples, given_labels=given, class_names=names, targets=flags[samples.given_labels])


def with_tags(samples: SampleSet, class_names: Sequence[str]) -> SampleSet:
    """Return sentences with their lists of tags as numbers in `tags`, in the order of `class_names`.

    Without `class_names` all tags of the data, sorted. Tags match by name, else as the numbers 0 … n_classes - 1.
    Raises `OgaError` for tags that are not among them.
    """
    lists = [json.loads(text) for text in samples.class_names]
    used = sorted({tag for tags in lists for tag in tags})
    names = tuple(map(str, class_names)) or tuple(used)
    place = {name: i for i, name in enumerate(names)}
    if not set(used) <= set(names) and all(tag.isdecimal() and int(tag) < len(names) for tag in used):
        place = {tag: int(tag) for tag in used}
    _check_names(used, names, place)
    numbered = np.empty(len(lists), dtype=object)
    numbered[:] = [np.array([place[tag] for tag in tags], dtype=np.int64) for tags in lists]
    given = np.full(len(samples), -1, dtype=np.int64)
    return replace(samples, given_labels=given, class_names=names, tags=numbered[samples.given_labels])


def _check_tags(samples: SampleSet, target: str | None) -> None:
    """Raise `OgaError` where the rows have tags and the model has not, or the other way about."""
    has_tags = "words" in samples.source.columns
    if has_tags and target not in ("tags", None):
        raise OgaError(
            f"{samples.source.path.name} has a list of tags for the words of each row, and the model's loss is of a "
            'whole row. For a model of tags put "loss": "token_cross_entropy" into the model card.'
        )
    if target == "tags" and not has_tags:
        raise OgaError(
            f"The model gives a tag for every word, and {samples.source.path.name} has no lists of words and tags. "
            "Give columns such as tokens and tags (or ner_tags, pos_tags), or a .conll file."
        )


def _check_names(used: Sequence[str], names: Sequence[str], known: Collection[str]) -> None:
    if strange := [label for label in used if label not in known]:
        raise OgaError(
            f"The data has {len(strange)} label(s) that the model does not know: {some_names(strange)}. "
            f"The model's are: {some_names(names)}. Correct the labels, or the classes in the model card."
        )
    if barred := [name for name in names if "|" in name]:
        raise OgaError(f"The label {barred[0]!r} has a bar in its name, which stands between labels. Rename it.")


def labels_in(text: str) -> list[str]:
    """The labels that a text holds: a list in JSON, else names between bars, semicolons or commas."""
    if text == NO_LABELS:
        return []
    if text.startswith("["):
        with suppress(ValueError):
            return [str(label) for label in json.loads(text)]
    return [part.strip() for part in text.split(separator_of(text)) if part.strip()]


def separator_of(text: str) -> str:
    """What stands between the labels in a text."""
    return next((mark for mark in SEPARATORS if mark in text), SEPARATORS[-1])


def _point(samples: SampleSet, i: int) -> str:
    name = samples.class_names[samples.given_labels[i]]
    return (
        f"; write {name.replace(',', '.')}, or {name.replace(',', '')} where it parts thousands"
        if re.fullmatch(r"-?\d+,\d+", name)
        else ""
    )


def _short(samples: SampleSet, i: int) -> str:
    return repr(samples.class_names[samples.given_labels[i]][:40])
