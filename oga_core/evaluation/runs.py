"""Two runs side by side: what changed after the data were fixed and the model was trained again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.review.carrying import carried, same_samples
from oga_core.review.decisions import Decision
from oga_core.review.store import ReviewStore
from oga_core.runs.scored import ScoredRun

FATES = ("relabel", "swap", "edit", "remove", "keep")


@dataclass(frozen=True, eq=False)
class RunPair:
    """An earlier run and a later one, with the decisions on the earlier; a sample is flagged as each run suggests."""

    old: ScoredRun
    new: ScoredRun
    decisions: Mapping[str, Decision]

    @classmethod
    def open(cls, old: Path, new: Path) -> RunPair:
        """Open two run folders; raises `OgaError` where one is no scored run."""
        first = ScoredRun(old)
        decisions: dict[str, Decision] = {}
        if first.run.review.is_file():
            with closing(ReviewStore(first.run.review)) as store:
                decisions = store.decisions()
        return cls(first, ScoredRun(new), decisions)

    @cached_property
    def same(self) -> dict[int, int]:
        """The row in the later run of each row of the earlier one that is the same sample."""
        return same_samples(self.old, self.new)

    @cached_property
    def entered(self) -> NDArray[np.int64]:
        """Rows of the later run that are flagged now and were not, most suspicious first; new samples left out."""
        before = {place: row for row, place in self.same.items()}
        was = flagged_mask(self.old)
        return np.array([p for p in flagged_rows(self.new) if p in before and not was[before[p]]], dtype=np.int64)

    @cached_property
    def left(self) -> NDArray[np.int64]:
        """Rows of the later run that were flagged and are not any more, the most suspicious before first."""
        now = flagged_mask(self.new)
        places = (self.same.get(int(row)) for row in flagged_rows(self.old))
        return np.array([place for place in places if place is not None and not now[place]], dtype=np.int64)

    def fates(self) -> dict[str, dict[str, int]]:
        """What happened to what was decided on the earlier run, by action.

        decided; applied: the data now has the new label or another text, or the sample is gone; flagged_before and
        flagged_now; agreed: the later model predicts the label that was decided on.
        """
        result = carried(self.old, self.new, self.decisions)
        applied = set(result.applied)
        was = flagged_mask(self.old)
        now = flagged_mask(self.new)
        fates: dict[str, dict[str, int]] = {}
        for action in FATES:
            made = [item for name, item in self.decisions.items() if item.action == action and name in self.old.ids]
            rows = self.old.ids.rows(item.sample_id for item in made)
            there = [(item, self.same[row]) for item, row in zip(made, rows.tolist(), strict=True) if row in self.same]
            fates[action] = {
                "decided": len(made),
                "applied": sum(item.sample_id in applied for item in made),
                "flagged_before": int(was[rows].sum()),
                "flagged_now": sum(bool(now[place]) for _, place in there),
                "agreed": sum(self._agreed(item, place) for item, place in there),
            }
        return fates

    def _agreed(self, decision: Decision, place: int) -> bool:
        predicted = self.new.text("predicted_label", place)
        return bool(predicted) and predicted == (decision.new_label or self.new.given_text(place))

    def summary(self) -> dict[str, Any]:
        """Everything as JSON: what `oga compare` prints."""
        return {
            "runs": {"old": self.old.name, "new": self.new.name},
            "samples": {
                "old": len(self.old),
                "new": len(self.new),
                "same": len(self.same),
                "gone": len(self.old) - len(self.same),
                "added": len(self.new) - len(self.same),
            },
            **{name: {"old": of(self.old), "new": of(self.new)} for name, of in _MEASURES.items()},
            "decided": self.fates(),
            "entered_flagged": self.new.ids[self.entered].tolist(),
            "left_flagged": self.new.ids[self.left].tolist(),
        }


def flagged_rows(data: ScoredRun) -> NDArray[np.int64]:
    """The rows that a run flags by its own score and suggestion, most suspicious first."""
    return data.ranked(data.default_score).flagged(data.trim_fraction())


def flagged_mask(data: ScoredRun) -> NDArray[np.bool_]:
    """Which samples a run flags, `(n_samples,)`."""
    mask = np.zeros(len(data), dtype=bool)
    mask[flagged_rows(data)] = True
    return mask


def _noise(data: ScoredRun) -> dict[str, float] | None:
    return None if data.info.noise_rate is None else vars(data.info.noise_rate)


_MEASURES = {
    "accuracy_on_given_labels": lambda data: data.info.model_accuracy_on_given_labels,
    "share_flagged": lambda data: len(flagged_rows(data)) / len(data),
    "noise_rate": _noise,
}
