"""Decisions as changes of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oga_core.review.decisions import Decision
from oga_core.samples import SampleSet


@dataclass(frozen=True)
class Edits:
    """What changes in the data: new labels, as the data names its classes, and what is left out, by id and by row."""

    labels: Mapping[str, str]
    removed: frozenset[str]
    label_of_row: Mapping[int, str]
    removed_rows: frozenset[int]

    @classmethod
    def of(cls, decisions: Mapping[str, Decision], samples: SampleSet, names: Mapping[str, str]) -> Edits:
        """Return what decisions on `samples` change; `names` maps a class to how the data writes it, where it differs.

        Decisions on samples that are not in the set change nothing.
        """
        rows = dict(zip(samples.ids, samples.row_numbers.tolist(), strict=True))
        labels = {
            sample_id: names.get(decision.new_label, decision.new_label)
            for sample_id, decision in decisions.items()
            if decision.action == "relabel" and decision.new_label is not None and sample_id in rows
        }
        removed = frozenset(key for key, decision in decisions.items() if decision.action == "remove" and key in rows)
        label_of_row = {rows[sample_id]: label for sample_id, label in labels.items()}
        return cls(labels, removed, label_of_row, frozenset(rows[sample_id] for sample_id in removed))


NO_EDITS = Edits({}, frozenset(), {}, frozenset())


def typed_label(label: str, old: Any) -> Any:
    """Return a label in the type that the data uses for labels."""
    if isinstance(old, bool) and label in ("true", "false"):
        return label == "true"
    if isinstance(old, (int, float)) and not isinstance(old, bool) and re.fullmatch(r"-?\d+", label):
        return type(old)(int(label))
    return label
