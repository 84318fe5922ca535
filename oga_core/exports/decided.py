"""A run's samples together with what was scored and decided about each: what every export starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.errors import unknown
from oga_core.readers import read_samples
from oga_core.review import ReviewStore
from oga_core.review.decisions import Decision
from oga_core.runs.folder import SCORE_PREFIX, RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.samples import SampleSet
from oga_core.threshold.ranked import RankedScores

ACTION_NAMES = {"keep": "keep", "relabel": "relabel", "remove": "exclude", "unsure": "needs_review"}


@dataclass(frozen=True)
class Edits:
    """What changes in the data: new labels, as the data names its classes, and what is left out, by id and by row."""

    labels: Mapping[str, str]
    removed: frozenset[str]
    label_of_row: Mapping[int, str]
    removed_rows: frozenset[int]


@dataclass(frozen=True, eq=False)
class Decided:
    """A run with its decisions, in the order of its table.

    samples: labels numbered as the model's classes; decisions: what stands, by sample id; method: the score;
    trim_fraction: the share that the machine flags.
    """

    run: RunFolder
    samples: SampleSet
    table: pd.DataFrame
    decisions: Mapping[str, Decision]
    method: str
    trim_fraction: float

    @classmethod
    def of(cls, run: RunFolder, score: str | None = None, trim_fraction: float | None = None) -> Decided:
        """Read a run's samples, scores and decisions; None stands for the run's own score and suggestion."""
        scored = ScoredRun(run.path)
        if score is not None and score not in scored.scores:
            raise unknown("score", score, scored.scores)
        decisions = ReviewStore(run.review).decisions() if run.review.exists() else {}
        method = score or scored.default_score
        return cls(run, run.samples, scored.table, decisions, method, scored.trim_fraction(trim_fraction))

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """The score of every sample, higher = more suspicious."""
        return self.table[SCORE_PREFIX + self.method].to_numpy(dtype=np.float64)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Rank of every sample, 1 for the most suspicious."""
        return RankedScores(self.scores).ranks + 1

    @cached_property
    def is_issue(self) -> NDArray[np.bool_]:
        """Whether a person found the sample detrimental; where nobody decided, whether the machine flags it."""
        flagged = self.ranks <= RankedScores(self.scores).count(self.trim_fraction)
        for i, sample_id in enumerate(self.samples.ids):
            decision = self.decisions.get(sample_id)
            if decision is not None and decision.action != "unsure":
                flagged[i] = decision.is_bad
        return flagged

    @cached_property
    def edits(self) -> Edits:
        """The decisions as changes of the data."""
        names = self._data_names
        rows = dict(zip(self.samples.ids, self.samples.row_numbers.tolist(), strict=True))
        labels = {
            sample_id: names.get(decision.new_label, decision.new_label)
            for sample_id, decision in self.decisions.items()
            if decision.action == "relabel" and decision.new_label is not None and sample_id in rows
        }
        removed = frozenset(i for i, decision in self.decisions.items() if decision.action == "remove" and i in rows)
        label_of_row = {rows[sample_id]: label for sample_id, label in labels.items()}
        return Edits(labels, removed, label_of_row, frozenset(rows[sample_id] for sample_id in removed))

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Positions of the samples that are not removed."""
        return np.array([i for i, key in enumerate(self.samples.ids) if key not in self.edits.removed], dtype=np.int64)

    def final_label(self, i: int) -> str | None:
        """The class of a sample after the decisions, as the model names it; None without labels."""
        decision = self.decisions.get(self.samples.ids[i])
        if decision is not None and decision.action == "relabel":
            return decision.new_label
        given = int(self.samples.given_labels[i])
        return self.samples.class_names[given] if given >= 0 else None

    @cached_property
    def _data_names(self) -> dict[str | None, str]:
        """How the data writes each class of the model, for the classes that the data uses or numbers."""
        data = self.run.info.data
        raw = read_samples(Path(data.path), **data.options)
        if not raw.class_names or raw.class_names == self.samples.class_names:
            return {}
        position = {sample_id: i for i, sample_id in enumerate(raw.ids)}
        raw_labels = raw.given_labels[[position[sample_id] for sample_id in self.samples.ids]]
        pairs = set(zip(raw_labels.tolist(), self.samples.given_labels.tolist(), strict=True))
        names: dict[str | None, str] = {}
        if all(name.isdecimal() for name in raw.class_names) and not set(raw.class_names) & set(
            self.samples.class_names
        ):
            names = {name: str(i) for i, name in enumerate(self.samples.class_names)}
        return names | {self.samples.class_names[new]: raw.class_names[old] for old, new in pairs}


def original_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the bytes of images, which no table should hold: their path stays."""
    return {str(name): _without_bytes(value) for name, value in row.items() if not isinstance(value, bytes)}


def _without_bytes(value: Any) -> Any:
    return value.get("path") if isinstance(value, Mapping) and "bytes" in value else value
