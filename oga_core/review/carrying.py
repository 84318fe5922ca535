"""Decisions of an earlier run carried over to a later one, where the samples are still the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from oga_core.files import full_path
from oga_core.review.decisions import Decision
from oga_core.review.store import ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.samples import is_number

APPLIED = "applied"
GONE = "the sample is gone"
CHANGED = "its content has changed"
RELABELLED = "it has another label now"


@dataclass(frozen=True)
class Stale:
    """A decision of the earlier run that says nothing about the later one, and why."""

    decision: Decision
    reason: str


@dataclass(frozen=True)
class Carried:
    """What became of the decisions of an earlier run.

    decisions: those that stand in the later one, under its ids; applied: ids of the earlier run whose new label the
    data now has, whose text was edited and is another, or which were removed and are gone; stale: the others.
    """

    decisions: tuple[Decision, ...]
    applied: tuple[str, ...]
    stale: tuple[Stale, ...]

    def counts(self) -> dict[str, Any]:
        """The numbers for run.json, and the stale ones by their reasons."""
        reasons = Counter(item.reason for item in self.stale)
        return {"carried": len(self.decisions), "applied": len(self.applied), "stale": dict(reasons)}


def carried(old: ScoredRun, new: ScoredRun, decisions: Mapping[str, Decision]) -> Carried:
    """Return what `decisions` on `old` mean in `new`.

    A sample is the same where its content is, and without hashes where its id is. One that has the label it was
    relabelled to is kept where it was looked at: it is right now. One that has a third label is to be looked at again.
    """
    places = same_samples(old, new)
    carried: list[Decision] = []
    applied: list[str] = []
    stale: list[Stale] = []
    for sample_id, decision in decisions.items():
        row = old.ids.get(sample_id)
        place = None if row is None else places.get(row)
        if place is None:
            known = row is not None and sample_id in new.ids
            if (decision.action == "remove" and not known) or (decision.action in ("edit", "swap") and known):
                applied.append(sample_id)
            else:
                stale.append(Stale(decision, CHANGED if known else GONE))
            continue
        assert row is not None
        now = _value(new, new.given_text(place))
        before = _value(new, old.given_text(row))
        moved = replace(decision, sample_id=str(new.ids[place]))
        if decision.action == "relabel" and _value(new, decision.new_label) == now:
            applied.append(sample_id)
            if decision.is_verdict:
                carried.append(replace(moved, action="keep", new_label=None))
        elif now != before:
            stale.append(Stale(decision, RELABELLED))
        else:
            carried.append(moved)
    return Carried(tuple(carried), tuple(applied), tuple(stale))


def _value(data: ScoredRun, label: str | None) -> str | float | None:
    """A label to compare: of numbers what they are, however they are written."""
    return float(label) if data.target == "number" and label is not None and is_number(label) else label


def carry_over(run: RunFolder, earlier: RunFolder) -> Carried:
    """Write the standing decisions of `earlier` into `run`, one step a reviewer; a second time changes nothing."""
    if not earlier.review.is_file():
        return Carried((), (), ())
    with closing(ReviewStore(earlier.review)) as store:
        decisions = store.decisions()
    result = carried(ScoredRun(earlier.path), ScoredRun(run.path), decisions)
    with closing(ReviewStore(run.review)) as store:
        for reviewer in sorted({decision.reviewer for decision in result.decisions}):
            own = [decision for decision in result.decisions if decision.reviewer == reviewer]
            store.decide(own, client_event_id=f"carried:{earlier.info.fingerprint}:{reviewer}")
    return result


def carry(run: RunFolder, earlier: RunFolder | None) -> None:
    """Carry the decisions of an earlier run over, where there is one, and say in run.json what became of them."""
    if earlier is not None:
        run.update(previous=full_path(earlier.path), carried=carry_over(run, earlier).counts())


def same_samples(old: ScoredRun, new: ScoredRun) -> dict[int, int]:
    """Return the row in `new` of each row of `old` that is the same sample.

    The same content under the same id; else the same content under another id, where only one sample has it (a fixed
    folder of classes moves its files); where a run has no hashes, the same id.
    """
    before = old.contents
    after = new.contents
    same_id = new.ids.rows(old.ids).tolist()
    if before is None or after is None:
        return {row: place for row, place in enumerate(same_id) if place >= 0}
    once = Counter(after)
    place_of = {content: place for place, content in enumerate(after) if content and once[content] == 1}
    places: dict[int, int] = {}
    for row, place in enumerate(same_id):
        if place >= 0 and before[row] == after[place]:
            places[row] = place
        elif before[row] in place_of:
            places[row] = place_of[before[row]]
    return places
