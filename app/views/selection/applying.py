"""What an export applies: what people decided, or what the machine proposes, of the samples that pass the filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from oga_app import state
from oga_app.elements import messages
from oga_app.elements.messages import Figure
from oga_app.views.header import Opened
from oga_core.review.decisions import ACTIONS, BAD_ACTIONS, actions_of
from oga_core.review.proposals import has_suggestions

_WORDS = {"decisions": "My decisions", "suggestions": "The machine's suggestions", "trim": "Trim the flagged"}


def counts(view: Opened) -> None:
    """How much of what passes the filter is decided."""
    codes = view.board.codes[view.selection.chosen]
    allowed = actions_of(view.data.classes, view.data.modality, view.data.target)
    numbers = {name: int((codes == code).sum()) for code, name in enumerate(ACTIONS)}
    figures = [Figure(name.capitalize(), f"{n:,}") for name, n in numbers.items() if n or name in allowed]
    messages.figures(*figures, Figure("Undecided", f"{int((codes < 0).sum()):,}"))
    differing = len(view.board.store.disagreements())
    if differing:
        messages.note(
            f"Reviewers disagree on {differing:,} sample(s). Until they are settled the latest verdict counts."
        )


def choice(view: Opened) -> str:
    """Draw the choice with what each would change, and return it."""
    changes = _changes(view)
    names = [name for name in _WORDS if has_suggestions(view.data) or name != "suggestions"]
    choice: str = st.radio(
        "What to apply",
        names,
        format_func=lambda name: f"{_WORDS[name]}: {changes[name]:,}",
        key=f"export-apply-{len(names)}",
        persist_state="session",
    )
    state.remember("apply", choice)
    if doubt := _doubt(view, choice, changes[choice]):
        messages.note(doubt)
    if view.session.filters:
        messages.quiet("Only samples that pass the filter are changed, and tables list only them.")
    return choice


def _doubt(view: Opened, choice: str, n_changes: int) -> str:
    """What a person should know who applies this; empty where there is nothing."""
    if not n_changes:
        return "This would change nothing: the export would hold the data as they are."
    if choice != "decisions":
        return "This is the machine's proposal. Nobody has reviewed it, and the export says so."
    together = _decided_together(view)
    return f"{together:,} of them were decided together. Nobody has looked at each." if together else ""


def _decided_together(view: Opened) -> int:
    """How many decisions are no verdicts, as nobody has looked at the samples one by one."""
    codes = view.board.codes
    made = (codes >= 0) & (codes != ACTIONS.index("unsure")) & ~view.board.judged
    return int((made & view.selection.chosen).sum())


def _changes(view: Opened) -> dict[str, int]:
    """How many samples each choice would change or leave out."""
    codes = view.board.codes[view.selection.chosen]
    flagged = view.selection.flagged
    return {
        "decisions": int(np.isin(codes, [ACTIONS.index(action) for action in BAD_ACTIONS]).sum()),
        "suggestions": int((view.data.suggested_labels[flagged] != "").sum()),
        "trim": len(flagged),
    }


def ids(view: Opened) -> list[str] | None:
    """The samples that an export is limited to; None without a filter."""
    return view.data.ids[view.selection.chosen].tolist() if view.session.filters else None


def arguments(view: Opened) -> dict[str, Any]:
    """What the page's choices mean to `export`: score and threshold, what to apply, and to which samples."""
    threshold = {"score": view.score, "trim_fraction": view.flagged / len(view.data)}
    return {**threshold, "apply": state.memory("apply", "decisions"), "ids": ids(view)}
