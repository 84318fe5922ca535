"""What a person decided on a sample, and one step of the log of decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from oga_core.errors import OgaError, unknown

Action = Literal["keep", "relabel", "remove", "unsure", "edit", "swap"]
ACTIONS: tuple[Action, ...] = get_args(Action)
BAD_ACTIONS: tuple[Action, ...] = ("relabel", "remove", "edit", "swap")
"""What is decided on a sample that was detrimental as it stood."""
MERGED = "classes merged"
"""The note of decisions that carry out a merge of two classes: nobody judged the samples one by one."""
UNSEEN = "decided together, not looked at"
"""The note of decisions on all of a filter or above a threshold: they are the machine's, whoever pressed the button."""


def actions_of(classes: Sequence[str], modality: str, target: str = "class") -> tuple[Action, ...]:
    """Return what can be decided on a sample of a run: a label needs classes or a number, a text a language model."""
    if classes or target not in ("class", "vector"):
        return ("keep", "relabel", "remove", "unsure")
    if modality == "preference":
        return ("keep", "swap", "edit", "remove", "unsure")
    return ("keep", "edit", "remove", "unsure") if modality == "causal_lm" else ("keep", "remove", "unsure")


@dataclass(frozen=True)
class Decision:
    """What a person decided on one sample; `time` is ISO 8601 in UTC, `new_label` for relabel: a class name,
    a number as text, or several labels or the tags of all words with bars between them.

    edit: for edit, the place of each changed text in the row as a JSON Pointer (RFC 6901), and the new text.
    """

    sample_id: str
    action: Action
    new_label: str | None = None
    reviewer: str = "me"
    time: str = ""
    note: str = ""
    edit: tuple[tuple[str, str], ...] = ()

    @property
    def is_verdict(self) -> bool:
        """Whether the decision says if the sample was detrimental: what estimates learn from."""
        return self.action != "unsure" and self.note not in (MERGED, UNSEEN)

    @property
    def is_bad(self) -> bool:
        """Whether the person found the sample detrimental as it stood."""
        return self.action in BAD_ACTIONS

    @property
    def verdict(self) -> str:
        """The action, with the class or the new text: what agreement between reviewers is measured on."""
        if self.action == "edit":
            return "edit to " + " / ".join(text for _, text in self.edit)
        return f"relabel to {self.new_label}" if self.action == "relabel" else self.action

    @property
    def edit_json(self) -> str | None:
        """The edit as the object that the file of decisions holds; None where there is none."""
        return json.dumps(dict(self.edit), ensure_ascii=False) if self.edit else None


@dataclass(frozen=True)
class Step:
    """One step of the log: a decision on `n_samples` at once, a settlement, or an undo or redo of step `undoes`."""

    seq: int
    kind: Literal["decide", "settle", "undo", "redo"]
    reviewer: str
    time: str
    n_samples: int
    undoes: int | None
    undone: bool
    first: Decision | None


def check_step(batch: Sequence[Decision]) -> None:
    """Raise `OgaError` unless `batch` can be one step: one reviewer, known actions, new labels where they belong."""
    if not batch:
        raise OgaError("No sample was chosen. Choose at least one sample to decide on.")
    if len({decision.reviewer for decision in batch}) > 1:
        raise OgaError("Decisions of several reviewers cannot be one step. Write one step for each reviewer.")
    if not batch[0].reviewer.strip():
        raise OgaError("The reviewer has no name. Give a name, so that decisions can be told apart.")
    for decision in batch:
        if decision.action not in ACTIONS:
            raise unknown("action", decision.action, ACTIONS)
        if (decision.action == "relabel") != (decision.new_label is not None):
            raise OgaError(
                f"The decision {decision.action!r} on {decision.sample_id!r} has the new label {decision.new_label!r}. "
                "Relabel needs a new label, the other actions have none."
            )
        if (decision.action == "edit") != bool(decision.edit):
            raise OgaError(
                f"The decision {decision.action!r} on {decision.sample_id!r} comes with {len(decision.edit)} new "
                "text(s). Edit needs at least one, the other actions have none."
            )
