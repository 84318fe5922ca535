"""The data set as the core sees it: ids, lazy inputs, given labels and the original rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.errors import UnreadableSample as UnreadableSample

Modality = Literal["image", "text", "tabular", "causal_lm", "preference", "outputs"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


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

    `columns` maps a role (`id`, `label`, `text`, `text_pair`, `image`) to the column that plays it.
    """

    path: Path
    format: str
    labels_path: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The samples of one data set, in the data's order.

    ids: unique and stable, `(n_samples,)` of `str`.
    inputs: lazy; `inputs[i]` is a decoded `PIL.Image`, a text or pair of texts, a mapping of columns, or,
        for a bundle of outputs, a mapping of arrays. Raises `UnreadableSample`.
    given_labels: `(n_samples,)` indices into `class_names`; -1 where the modality has no labels.
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
        )

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
            f"The data has {len(strangers)} label(s) that the model does not know: {_some(strangers)}. "
            f"The model's classes are: {_some(target)}. Correct the labels, or the classes in the model card."
        )

    def _renumbered(self, new_index: list[int], class_names: tuple[str, ...]) -> SampleSet:
        labels = np.asarray(new_index, dtype=np.int64)[self.given_labels]
        return replace(self, given_labels=labels, class_names=class_names)


class Subset(Sequence[Any]):
    """A lazy view of some positions of another sequence."""

    def __init__(self, base: Sequence[Any], indices: NDArray[np.int64]):
        self.base: Sequence[Any] = base.base if isinstance(base, Subset) else base
        self.indices: NDArray[np.int64] = base.indices[indices] if isinstance(base, Subset) else indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: Any) -> Any:
        return self.base[int(self.indices[i])]


def _some(names: Sequence[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
