"""The data set as the core sees it: ids, lazy inputs, given labels and the original rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.errors import UnreadableSample as UnreadableSample

Modality = Literal["image", "text", "tabular", "causal_lm", "preference", "outputs"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Target = Literal["class", "number", "labels", "tags", "mask", "vector"]
"""What the loss compares outputs with: one class, a number, any of several labels for each sample, a class for each of
its words or pixels, or several numbers a sample."""
TARGETS: tuple[Target, ...] = get_args(Target)
BETWEEN, NO_LABELS = " | ", "(none)"
"""Several labels of a sample are one text in tables and on pages: with a bar between them, and this for none."""

MODEL_MASK, REDO = "the model's mask", "mask to redo"
MASK_CHOICES = (MODEL_MASK, REDO)
"""What may stand in place of a mask: the one that the model predicts, or one that somebody has yet to draw."""

MASK_IGNORED = 255
"""Stands in a mask's file where no class is given, as in Pascal VOC, unless the model card says otherwise."""
MASK_LARGEST = 65_535
"""The largest number that a pixel of a mask can have, 16 bits."""

LOSSES: dict[str, tuple[Target, tuple[str, ...]]] = {
    "cross_entropy": ("class", ("label_smoothing", "class_weights")),
    "binary_cross_entropy": ("labels", ()),
    "token_cross_entropy": ("tags", ()),
    "pixel_cross_entropy": ("mask", ("ignore",)),
    "mean_squared_error": ("number", ("mean", "std")),
    "mean_absolute_error": ("number", ("mean", "std")),
    "huber": ("number", ("mean", "std", "delta")),
    "own": ("class", ("target", "function", "size")),
}
"""What each loss compares the outputs with, and its settings; a loss of one's own says itself what."""
OWN = "own"
MAX_UNREADABLE = 0.05  # more rows that cannot be read mean a wrong option or a damaged file, not bad rows


@dataclass(frozen=True)
class Problem:
    """One row that is not in the run: its id, its 0-based row in the source and a sentence that says why.

    untrained: whether it could be read and nothing of it is trained on, which is no fault of the data.
    """

    sample_id: str
    row: int
    reason: str
    untrained: bool = False


@dataclass(frozen=True)
class Source:
    """Where the samples came from, with all that an export needs to write them back in the same format.

    `columns` maps a role (`id`, `label`, `text`, `text_pair`, `image`, `words`) to the column that plays it.
    `tag_names` are those that numbers stand for in a column of tags, where the data names them.
    """

    path: Path
    format: str
    labels_path: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    tag_names: tuple[str, ...] = ()

    def further(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row says of its sample beside what plays a role."""
        known = {*self.columns.values(), *self.columns.get("label", "").split(","), "file", "label"}
        return {name: value for name, value in row.items() if name not in known}


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The samples of one data set, in the data's order.

    ids: unique and stable, `(n_samples,)` of `str`.
    inputs: lazy; `inputs[i]` is a decoded `PIL.Image`, a text or pair of texts, a mapping of columns, or,
        for a bundle of outputs, a mapping of arrays. Raises `UnreadableSample`.
    given_labels: `(n_samples,)` indices into `class_names`; -1 where a sample has no class.
    targets: `(n_samples,)` numbers that the model predicts, or `(n_samples, n_labels)` of 0 and 1, whose labels
        `class_names` names, or without those `(n_samples, size)` of any numbers; None for classes and where the
        modality has no labels.
    tags: `(n_samples,)` arrays of indices into `class_names`, one a word; None where words have no tags.
    masks: lazy; `masks[i]` is `(height, width)` indices into `class_names`, -1 where no class is given; None without.
    rows: the original row of every sample, whole and unchanged.
    row_numbers: `(n_samples,)` 0-based positions in the source.
    problems: what could not be read; these rows are not among the samples.
    """

    ids: NDArray[np.object_]
    inputs: Sequence[Any]
    given_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    modality: Modality
    rows: Sequence[Mapping[str, Any]]
    row_numbers: NDArray[np.int64]
    source: Source
    fingerprint: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    targets: NDArray[np.float64] | None = None
    tags: NDArray[np.object_] | None = None
    masks: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: NDArray[np.int64]) -> SampleSet:
        """Return the samples at `indices` (positions in this set), still lazy."""
        return replace(
            self,
            ids=self.ids[indices],
            inputs=Subset(self.inputs, indices),
            given_labels=self.given_labels[indices],
            rows=Subset(self.rows, indices),
            row_numbers=self.row_numbers[indices],
            targets=None if self.targets is None else self.targets[indices],
            tags=None if self.tags is None else self.tags[indices],
            masks=None if self.masks is None else Subset(self.masks, indices),
        )

    @property
    def target(self) -> Target | None:
        """What each sample is labelled with; None where the modality has no labels."""
        if self.tags is not None:
            return "tags"
        if self.masks is not None:
            return "mask"
        if self.targets is not None:
            return "number" if self.targets.ndim == 1 else "labels" if self.class_names else "vector"
        return "class" if self.class_names else None

    def label_text(self, i: int) -> str:
        """The label of a sample as tables and pages show it: a class, a number, or a list; empty without one.

        Of a mask, which `UnreadableSample` may be raised for, the classes in it.
        """
        if self.tags is not None:
            return labels_text(self.class_names[tag] for tag in self.tags[i])
        if self.masks is not None:
            return present(self.masks[i], self.class_names)
        if self.targets is None:
            return self.class_names[self.given_labels[i]] if self.given_labels[i] >= 0 else ""
        if self.targets.ndim == 1:
            return number_text(float(self.targets[i]))
        if not self.class_names:
            return BETWEEN.join(number_text(float(number)) for number in self.targets[i])
        return labels_text(name for name, has in zip(self.class_names, self.targets[i], strict=True) if has)

    def with_classes(self, class_names: Sequence[str]) -> SampleSet:
        """Return the same samples with labels numbered as the model numbers its classes.

        Names match exactly, else without case and surrounding space, else as the numbers 0 … n_classes - 1.
        Raises `OgaError` naming the labels that the model does not know.
        """
        target = tuple(map(str, class_names))
        if not self.class_names or target == self.class_names:
            return self
        for key in (str, lambda name: name.strip().casefold()):
            index = {key(name): position for position, name in enumerate(target)}
            if len(index) == len(target) and all(key(name) in index for name in self.class_names):
                return self._renumbered([index[key(name)] for name in self.class_names], target)
        if all(name.isdecimal() and int(name) < len(target) for name in self.class_names):
            return self._renumbered([int(name) for name in self.class_names], target)
        strangers = [name for name in self.class_names if name not in target]
        raise OgaError(
            f"The data has {len(strangers)} label(s) that the model does not know: {some_names(strangers)}. "
            f"The model's classes are: {some_names(target)}. Correct the labels, or the classes in the model card."
        )

    def _renumbered(self, new_index: list[int], class_names: tuple[str, ...]) -> SampleSet:
        labels = np.asarray(new_index, dtype=np.int64)[self.given_labels]
        return replace(self, given_labels=labels, class_names=class_names)


def check_share(name: str, problems: Sequence[Problem], n_readable: int) -> None:
    """Raise `OgaError` where more than 5 % of the rows cannot be used, naming the first few."""
    total = len(problems) + n_readable
    if len(problems) > MAX_UNREADABLE * total:
        first = "; ".join(f"{problem.sample_id}: {problem.reason}" for problem in problems[:5])
        raise OgaError(
            f"{len(problems):,} of {total:,} rows of {name} cannot be used, more than {MAX_UNREADABLE:.0%}. "
            f"The first: {first}. Correct them, or take them out."
        )


class Subset(Sequence[Any]):
    """A lazy view of some positions of another sequence."""

    def __init__(self, base: Sequence[Any], indices: NDArray[np.int64]):
        self.base: Sequence[Any] = base.base if isinstance(base, Subset) else base
        self.indices: NDArray[np.int64] = base.indices[indices] if isinstance(base, Subset) else indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: Any) -> Any:
        return self.base[int(self.indices[i])]


def number_text(number: float, digits: int | None = None) -> str:
    """A number as text: with as many digits as tell it from others, or rounded to `digits`, without an idle point."""
    text = repr(number) if digits is None else f"{number:.{digits}g}"
    return text.removesuffix(".0")


def is_number(text: str) -> bool:
    """Whether a text is a finite number, as labels and new values are written."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def labels_text(names: Iterable[str]) -> str:
    """Several labels of a sample as one text, with bars between them."""
    return BETWEEN.join(names) or NO_LABELS


def present(mask: NDArray[np.integer[Any]], names: Sequence[str]) -> str:
    """The classes in a mask as one text, in their order; -1 stands for none."""
    return labels_text(names[index] for index in np.unique(mask).tolist() if index >= 0)


def labels_of(text: str) -> list[str]:
    """The labels in a text that `labels_text` made."""
    return [] if text == NO_LABELS else text.split(BETWEEN)


def require_labels(text: str | None, names: Sequence[str]) -> list[str]:
    """Return the labels in a text that `labels_text` made; raises `OgaError` for one that is not among `names`."""
    labels = labels_of(text or NO_LABELS)
    if strange := [label for label in labels if label not in names]:
        raise OgaError(
            f"The label {strange[0]!r} is not one of the run's: {some_names(names)}. Write several with bars between "
            f"them, as in {names[0]}{BETWEEN}{names[-1]}, and {NO_LABELS} for none."
        )
    return labels


def require_tags(text: str | None, names: Sequence[str], given: str | None) -> list[str]:
    """Return the tags in a text that `labels_text` made; raises `OgaError` for a strange one, or for too many or few.

    given: the tags as they are, as one text.
    """
    tags = require_labels(text, names)
    count = len(labels_of(given or NO_LABELS))
    if len(tags) != count:
        raise OgaError(f"There are {len(tags):,} tags for {count:,} words. Give one for each, with bars between them.")
    return tags


def some_names(names: Sequence[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
