"""One decision on many samples: what it would do, the count to confirm, and the undo."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from oga_app import cache, state
from oga_app.components.grid.sample_grid import GridAction, sample_grid
from oga_app.elements import desk, messages
from oga_app.views import header
from oga_app.views.header import Opened
from oga_core.review.proposals import Verb, has_suggestions

_MOST_ALIKE = 200
"""Of one sample: what lies farther is like it only as everything of its class is."""
_ALIKE_SHOWN = 40
_WORDS: dict[Verb, str] = {
    "suggest": "Take each one's own suggestion",
    "keep": "Keep",
    "remove": "Remove",
    "unsure": "Mark as unsure",
    "relabel": "Relabel to one class",
}


def act(view: Opened) -> None:
    """The button that opens the dialog."""
    selection = view.selection
    if len(selection) and st.button(_label(view), key="act", icon=":material/done_all:"):
        state.remember("acting", True)
    if state.memory("acting", False) and not view.session.opened:
        _dialog()


def review_these(view: Opened) -> None:
    """The button that opens what is in view as the queue of the Review page."""
    count = len(view.selection.flagged) or len(view.selection)
    if count and st.button(
        f"Review these {count:,}", type="primary", key="review-these", icon=":material/rate_review:"
    ):
        view.session.go("Review")


def _close() -> None:
    state.remember("acting", False)


def _label(view: Opened) -> str:
    flagged = len(view.selection.flagged)
    return f"Decide on {f'all {flagged:,} flagged' if flagged else f'all {len(view.selection):,}'} …"


def done(view: Opened) -> None:
    """What the last step on many samples did, with a button that takes it back, and one that exports."""
    last = view.session.done
    if last is None or view.board.store.is_undone(last.step):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="done"):
        messages.note(last.sentence())
        if st.button("Undo", key="done-undo", icon=":material/undo:"):
            view.board.store.undo(view.session.reviewer, last.step)
            view.session.done = None
            st.rerun()
        if st.button("Export the fixed data set", key="done-export", icon=":material/download:"):
            state.remember("export-now", True)
            view.session.go("Export")


def bulk(view: Opened, action: GridAction, listed: NDArray[np.int64]) -> None:
    """Write what was confirmed in a grid, and remember it for the undo; for the grid's callback."""
    view.session.done = desk.bulk(view.data, view.board, action, view.session.reviewer, listed)


@st.dialog("Decide on many samples", width="medium", on_dismiss=_close)
@messages.guarded
def _dialog() -> None:
    view = header.opened()
    assert view is not None
    rows = _scope(view)
    verb, label = _what(view, "act")
    decided = view.board.codes[rows] >= 0
    if decided.any():
        over = st.checkbox(f"Also the {int(decided.sum()):,} that are decided already", key="act-over")
        rows = rows if over else rows[~decided]
    without = int((view.data.suggested_labels[rows] == "").sum()) if verb == "suggest" else 0
    if without:
        messages.quiet(f"{messages.counted(without, 'has', 'have')} no suggestion and stay as they are.")
    count = len(rows) - without
    if st.button(f"{_WORDS[verb]}: {count:,}", type="primary", disabled=not count, key="act-confirm"):
        view.session.done = desk.decide_many(
            view.data, view.board, rows, verb, reviewer=view.session.reviewer, label=label
        )
        _close()
        st.rerun()
    messages.quiet(
        "It is written as one step, and one undo takes all of it back. As you have not looked at each, it counts as no "
        "verdict: what is expected stays as it is."
    )


def _what(view: Opened, key: str) -> tuple[Verb, str | None]:
    """The decision that is chosen, and for a relabel the class."""
    offered = {"suggest": has_suggestions(view.data), "relabel": bool(view.data.classes)}
    verbs = [verb for verb in _WORDS if offered.get(verb, True)]
    verb: Verb = st.radio("What to decide", verbs, format_func=_WORDS.__getitem__, key=f"{key}-verb")
    label = st.selectbox("New label", view.data.classes, key=f"{key}-label") if verb == "relabel" else None
    return verb, label


def act_alike(view: Opened, row: int) -> bool:
    """Draw the form that decides on a sample and the ones like it; whether it was confirmed."""
    evidence = cache.evidence(view.data)
    most = min(_MOST_ALIKE, len(view.data) - 1)
    if evidence.sketch is None or most < 1:
        return False
    count = st.slider("How many like it, nearest in gradient space first", 1, most, min(12, most), key="alike-count")
    near = [item.row for item in evidence.alike(row, count)]
    shown = near[:_ALIKE_SHOWN]
    sample_grid(desk.tiles(view.data, view.board, shown, score=view.score, flagged=view.flagged), key="alike", size=72)
    if len(near) > len(shown):
        messages.quiet(f"The nearest {len(shown)} are shown.")
    verb, label = _what(view, "alike")
    rows = np.array([row, *near], dtype=np.int64)
    if verb == "suggest":
        rows = rows[view.data.suggested_labels[rows] != ""]
    if not st.button(f"{_WORDS[verb]}: {len(rows):,}", type="primary", disabled=not len(rows), key="alike-confirm"):
        return False
    view.session.done = desk.decide_many(
        view.data, view.board, rows, verb, reviewer=view.session.reviewer, seen=[row, *shown], label=label
    )
    return True


def _scope(view: Opened) -> NDArray[np.int64]:
    """The rows to decide on: those above the threshold, or all that pass the filter."""
    selection = view.selection
    inside = " in the filter" if view.session.filters else ""
    scopes = {
        f"The {len(selection.flagged):,} flagged{inside}": selection.flagged,
        f"All {len(selection):,}{inside}": selection.rows,
    }
    scope = st.radio("On which samples", [name for name, rows in scopes.items() if len(rows)], key="act-scope")
    return scopes[scope]
