"""A run's samples together with what was scored and decided about each: what every export starts from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.readers.tables.pointers import keys_of, replaced
from oga_core.review.decisions import Decision
from oga_core.review.edits import Edits
from oga_core.samples import SampleSet
from oga_core.threshold.ranked import RankedScores
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.review.proposals import Apply
    from oga_core.runs.folder import RunFolder

T = TypeVar("T")

_SAID_EVERY = 0.5  # seconds
ACTION_NAMES = {
    "keep": "keep",
    "relabel": "relabel",
    "remove": "exclude",
    "unsure": "needs_review",
    "edit": "edit",
    "swap": "swap",
}


@dataclass(frozen=True, eq=False)
class Decided:
    """A scored run with its decisions, in the order of its table.

    samples: labels numbered as the model's classes; decisions: what stands, by sample id; edits: the same as changes
    of the data; method: the score, `ranked` its values; trim_fraction: the share that the machine flags;
    label_column: the column of labels that the person named, None where it was recognised. progress: hears how many
    rows or files are written. apply: whether the decisions are people's or the machine's proposal. ids: the samples
    that tables list, None for all. beliefs: what the expectation starts from, before any verdict.
    run: whose predicted masks may be written.
    """

    samples: SampleSet
    table: pd.DataFrame
    decisions: Mapping[str, Decision]
    edits: Edits
    method: str
    ranked: RankedScores
    trim_fraction: float
    label_column: str | None
    progress: Progress = lambda event: None
    apply: Apply = "decisions"
    ids: frozenset[str] | None = None
    beliefs: Mapping[str, Any] = field(default_factory=dict)
    run: RunFolder | None = None

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Rank of every sample, 1 for the most suspicious."""
        return self.ranked.ranks + 1

    @cached_property
    def is_issue(self) -> NDArray[np.bool_]:
        """Whether a person found the sample detrimental; where nobody decided, whether the machine flags it."""
        issues = self.ranks <= self.ranked.count(self.trim_fraction)
        for i, sample_id in enumerate(self.samples.ids):
            decision = self.decisions.get(sample_id)
            if decision is not None and decision.is_verdict:
                issues[i] = decision.is_bad
        return issues

    @cached_property
    def remaining(self) -> NDArray[np.int64]:
        """Positions of the samples that are not removed."""
        return np.array([i for i, key in enumerate(self.samples.ids) if key not in self.edits.removed], dtype=np.int64)

    def final_row(self, i: int) -> dict[str, Any]:
        """The row of a sample after edits and swaps; its label is as it was given."""
        row: dict[str, Any] = dict(self.samples.rows[i])
        for place, value in self.edits.values_of_row.get(int(self.samples.row_numbers[i]), {}).items():
            row = replaced(row, keys_of(place), value)
        return row

    def final_label(self, i: int) -> str | None:
        """The class of a sample after the decisions, as the model names it; None without labels."""
        decision = self.decisions.get(self.samples.ids[i])
        if decision is not None and decision.action == "relabel":
            return decision.new_label
        return self.samples.label_text(i) or None

    def counted(self, parts: Iterable[T], total: int) -> Iterator[T]:
        """Yield what is written, row by row or file by file, and say how far it is."""
        announced = time.monotonic()
        for done, part in enumerate(parts):
            if time.monotonic() - announced > _SAID_EVERY:
                announced = time.monotonic()
                self.progress({"stage": "writing", "done": done, "total": total})
            yield part


def names_in_data(raw: SampleSet, samples: SampleSet) -> dict[str, str]:
    """Return how the data, read as `raw`, writes each class of `samples`; empty where it writes them alike."""
    if samples.target != "class" or not raw.class_names or raw.class_names == samples.class_names:
        return {}
    position = {sample_id: i for i, sample_id in enumerate(raw.ids)}
    raw_labels = raw.given_labels[[position[sample_id] for sample_id in samples.ids]]
    pairs = set(zip(raw_labels.tolist(), samples.given_labels.tolist(), strict=True))
    names: dict[str, str] = {}
    if all(name.isdecimal() for name in raw.class_names) and not set(raw.class_names) & set(samples.class_names):
        names = {name: str(i) for i, name in enumerate(samples.class_names)}
    return names | {samples.class_names[new]: raw.class_names[old] for old, new in pairs}


def original_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the bytes of images, which no table should hold: their path stays."""
    return {str(name): _without_bytes(value) for name, value in row.items() if not isinstance(value, bytes)}


def _without_bytes(value: Any) -> Any:
    return value.get("path") if isinstance(value, Mapping) and "bytes" in value else value
