"""Labels read as what a loss compares outputs with: as classes, or as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oga_core.samples import Problem, SampleSet, check_share, is_number


def with_targets(samples: SampleSet, target: str | None, class_names: Sequence[str]) -> SampleSet:
    """Return the samples with labels as `target` says; classes are numbered in the order of `class_names`.

    Raises `OgaError` for a class that is not among them, and where more than 5 % of the labels are no numbers.
    """
    if samples.target != "class":
        return samples
    return with_numbers(samples) if target == "number" else samples.with_classes(class_names)


def with_numbers(samples: SampleSet) -> SampleSet:
    """Return the samples with their labels as numbers in `targets`; a label that is no number becomes a problem.

    Raises `OgaError` where more than 5 % of the labels are none.
    """
    numbers = np.array([_number(name) for name in samples.class_names])[samples.given_labels]
    problems = [
        Problem(str(samples.ids[i]), int(samples.row_numbers[i]), f"its label {_short(samples, i)} is not a number")
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


def _number(text: str) -> float:
    return float(text) if is_number(text) else math.nan


def _short(samples: SampleSet, i: int) -> str:
    return repr(samples.class_names[samples.given_labels[i]][:40])
