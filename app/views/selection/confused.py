"""Which labels are taken for which others: as a matrix, as a ranked list, and what to do about a pair."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from oga_app.elements import charts, desk, hints, messages
from oga_app.views.header import Opened

MATRIX_CLASSES = 40
"""More make a matrix that nobody can read, and whose size grows with their square."""


def confused(view: Opened) -> None:
    """Draw the matrix and the list beside it; a choice in either restricts all views to the pair."""
    data = view.data
    if not (data.predicted >= 0).any():
        messages.empty("This run has no predicted labels, so there is nothing to compare the given labels with.")
        return
    only_flagged = st.toggle("Count only flagged samples", key="matrix-flagged", persist_state="session")
    key = f"{data.name}-{only_flagged}-{view.session.removed}"
    pairs = view.selection.confused_pairs(only_flagged)
    if len(data.classes) <= MATRIX_CLASSES:
        left, right = st.columns([3, 2], gap="medium")
        with left:
            about = "Rows: given label. Columns: predicted label. Choose a cell to see its samples below."
            hints.section("Explore", "Matrix", about=about)
            counts = view.selection.confusion(only_flagged)
            charts.matrix(counts, data.classes, f"matrix-{key}", partial(_restrict, view))
    else:
        right = st.container()
    with right:
        about = "The pairs that differ most often. Choose one to see its samples below."
        hints.section("Explore", "Confused pairs", about=about)
        charts.confused_pairs(pairs, data.classes, f"pairs-{key}", partial(_restrict, view))
    _pair(view)


def _restrict(view: Opened, given: str, predicted: str) -> None:
    view.session.set_filters(replace(view.session.filters, given=given, predicted=predicted))


def _pair(view: Opened) -> None:
    """What can be done about the pair in the filter: one class of both."""
    pair = desk.pair_of(view.session.filters)
    if pair is None:
        return
    with st.popover(messages.plain(f"Merge {pair[0]} and {pair[1]} …"), icon=":material/merge:"):
        messages.quiet("Where two classes mean the same, one name for both is a decision on the whole set.")
        kept: str = st.radio("The class that stays", pair, format_func=messages.plain, key=f"merge-{pair}")
        gone = pair[1] if kept == pair[0] else pair[0]
        rows = np.flatnonzero(view.data.given == view.data.classes.index(gone))
        rows = rows[view.board.codes[rows] < 0]
        words = f"Relabel all {len(rows):,} undecided {messages.plain(gone)} to {messages.plain(kept)}"
        if st.button(words, type="primary", disabled=not len(rows), key="merge-confirm"):
            view.session.done = desk.merge(view.data, view.board, rows, kept, reviewer=view.session.reviewer)
            st.rerun()
        messages.quiet("It is one step, which one undo takes back; it does not count as a verdict on single labels.")
