"""One decision on many samples at once, and what the machine proposes where nobody has looked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

from oga_core.errors import OgaError, unknown
from oga_core.review.decisions import ACTIONS, Action, Decision, actions_of
from oga_core.runs.scored import ScoredRun

Verb = Action | Literal["suggest"]
"""suggest: relabel each sample to its own suggestion."""
Apply = Literal["decisions", "suggestions", "trim"]
APPLY: tuple[Apply, ...] = get_args(Apply)
MACHINE = "machine's proposal, not reviewed"
"""Stands as the reviewer of what nobody looked at."""


def can_relabel(data: ScoredRun) -> bool:
    """Whether the samples of a run have labels that can be others: classes, numbers, several labels or tags."""
    return "relabel" in actions_of(data.classes, data.modality, data.target)


def has_suggestions(data: ScoredRun) -> bool:
    """Whether the run suggests another label for any of its samples; under a loss of one's own it may for none."""
    if data.target == "class":
        return bool((data.suggestions >= 0).any())
    return can_relabel(data) and bool((data.suggested_labels != "").any())


def decide_alike(
    data: ScoredRun, rows: Iterable[int], verb: Verb, *, label: str | None = None, reviewer: str = "me"
) -> list[Decision]:
    """Return the same decision on every sample of `rows`; with "suggest" those without a suggestion are left out.

    label: the class or number of "relabel". Raises `OgaError` for an unknown verb or label.
    """
    if verb == "suggest":
        new = data.suggested_labels
        return [Decision(str(data.ids[row]), "relabel", new[row], reviewer) for row in map(int, rows) if new[row]]
    if verb not in ACTIONS:
        raise unknown("action", verb, (*ACTIONS, "suggest"))
    if verb == "relabel":
        data.require_label(label)
    return [Decision(str(data.ids[row]), verb, label, reviewer) for row in map(int, rows)]


def applied(
    data: ScoredRun,
    decisions: Mapping[str, Decision],
    apply: Apply,
    flagged: Sequence[int],
    ids: Collection[str] | None = None,
) -> dict[str, Decision]:
    """Return what an export is to apply, by sample id: what people decided, or what the machine proposes.

    flagged: rows that a proposal is about. ids: only these samples; None for all.
    Raises `OgaError` for another `apply`.
    """
    if apply not in APPLY:
        raise unknown("choice of what to apply", apply, APPLY)
    made = dict(decisions) if apply == "decisions" else proposal(data, apply, flagged)
    return made if ids is None else {name: decision for name, decision in made.items() if name in ids}


def proposal(data: ScoredRun, apply: Apply, flagged: Sequence[int]) -> dict[str, Decision]:
    """Return what the machine alone would decide on the samples `flagged`, by sample id.

    apply: "suggestions" relabels each to its suggestion where it has one; "trim" removes each, the paper's own act
    (Chhabra et al. 2025). Raises `OgaError` for anything else, and for suggestions in a run without labels.
    """
    if apply not in ("suggestions", "trim"):
        raise unknown("proposal", apply, ("suggestions", "trim"))
    if apply == "suggestions" and not can_relabel(data):
        raise OgaError("This run has no labels, so there are no suggestions to apply. Trim, or apply decisions.")
    verb: Verb = "suggest" if apply == "suggestions" else "remove"
    return {made.sample_id: made for made in decide_alike(data, flagged, verb, reviewer=MACHINE)}
