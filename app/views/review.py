"""Review: one flagged sample after the other, decided by keyboard or mouse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from oga_app import cache, state
from oga_app.components.grid.sample_grid import sample_grid
from oga_app.components.review.review_queue import review_queue
from oga_app.elements import charts, desk, hints, messages, thumbnails
from oga_app.server.sign_in import SIGN_OUT
from oga_app.views import header, outlook
from oga_app.views.detail import about_row, detail, neighbours
from oga_app.views.header import Opened
from oga_app.views.reviewers import history, reviewers
from oga_app.views.selection.act import bulk, done
from oga_app.views.selection.filter_bar import filter_bar
from oga_app.views.trained_tokens import look_after
from oga_core.review.decisions import actions_of

_GRID = 60
_GRID_BY_CLASS = "Grid by class"
_AHEAD = 60
_HEIGHT = 580
_SHORT = 340
"""Of texts and rows, which take the height they need, so that the evidence is not below the fold."""
_BATCH = 40
_FLAGGED = "Flagged first, with a few random ones"
_TELLING = "What tells most about the rest"


def show() -> None:
    """Draw the page."""
    view = header.opened()
    if view is None:
        return
    view.session.take_stale()
    header.title("Review", view)
    mode = filter_bar(view, lambda: _mode(view))
    {"One by one": _queue, _GRID_BY_CLASS: _grid, "Reviewers": reviewers, "History": history}[mode]()
    if view.session.opened:
        detail(view)


def _mode(view: Opened) -> str:
    mode: str = st.segmented_control(
        "How",
        ["One by one", _GRID_BY_CLASS, "Reviewers", "History"],
        format_func=lambda mode: "Grid" if mode == _GRID_BY_CLASS and not view.data.classes else mode,
        default="One by one",
        required=True,
        key="review-mode",
        label_visibility="collapsed",
        persist_state="session",
    )
    with st.popover(messages.plain(view.session.reviewer), icon=":material/person:"):
        _settings(view)
    return mode


def _settings(view: Opened) -> None:
    current = view.session
    if state.account() or current.settings.reviewer:
        messages.quiet(f"Decisions are written as {current.reviewer}.")
        if current.settings.accounts:
            messages.link("Sign out", SIGN_OUT)
    else:
        name = st.text_input("Your name, written to every decision", current.reviewer, max_chars=60, key="reviewer")
        if name.strip() and name.strip() != current.reviewer:
            view.board.store.release(current.reviewer)  # what the old name holds would be kept from the new one
            current.own_name = name.strip()
            st.rerun()
    order = st.radio("Order of the queue", (_FLAGGED, _TELLING), key="queue-order", persist_state="session")
    state.remember("queue", order)
    twice = st.checkbox("Let me decide on samples that others decided on", key="overlap", persist_state="session")
    state.remember("overlap", 2 if twice else 1)


def _rows(view: Opened) -> NDArray[np.int64]:
    """The queue's rows; what tells most is chosen anew only after some verdicts, so that the queue does not jump."""
    if view.session.batch is not None:
        chosen = view.session.batch.rows
        return chosen[view.selection.chosen[chosen]]
    if state.memory("queue", _FLAGGED) == _FLAGGED:
        return cache.queue(view.selection, view.session.filters, view.board)
    expectation = cache.expectation(view.data, view.board, view.score, every=_BATCH)
    name = f"batch-{view.data.name}-{view.score}-{view.board.version // _BATCH}"
    rows: NDArray[np.int64] = state.memory(name, expectation.to_review(_BATCH))
    return rows[view.selection.chosen[rows]]


@st.fragment
@messages.guarded
def _queue() -> None:
    view = header.opened()
    assert view is not None
    if not thumbnails.is_open(view.data):
        thumbnails.wait(view.data)
        return
    rows = _rows(view)
    if not len(rows):
        messages.empty("No sample passes this filter, so there is nothing to review. Remove a chip above.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        _composition(view, rows)
        hints.hint("Review", "Queue")
    backend = desk.Desk(
        view.data,
        view.board,
        rows,
        reviewer=view.session.reviewer,
        score=view.score,
        flagged=view.flagged,
        overlap=state.memory("overlap", 1),
    )
    resting = review_queue(
        backend,
        key=f"review-{view.data.name}-{view.session.reviewer}",
        classes=view.data.info.choices or view.data.info.label_names,
        target=view.data.target,
        actions=actions_of(view.data.classes, view.data.modality, view.data.target),
        pair=desk.pair_of(view.session.filters),
        height=_HEIGHT if view.data.modality == "image" else _SHORT,
    )
    if view.data.target == "vector":
        messages.quiet("Lists of numbers are kept, removed or marked unsure here; new ones are not typed.")
    coming = backend.upcoming(1)
    outlook.progress(view, is_done=not coming)
    if not view.session.settings.closed:
        cache.explainer(view.data).ahead(rows[view.board.codes[rows] < 0][:_AHEAD])
    _evidence(view, coming, rows, resting)


def _composition(view: Opened, rows: NDArray[np.int64]) -> None:
    """What the queue holds, in words, with the way back where another page has chosen it."""
    batch = view.session.batch
    if batch is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            messages.quiet(f"{messages.counted(len(rows), 'sample', 'samples')} {batch.words}.")
            if st.button("Back to the flagged", key="queue-back"):
                view.session.batch = None
                st.rerun()
        return
    if state.memory("queue", _FLAGGED) != _FLAGGED:
        messages.quiet(
            f"The {len(rows):,} whose verdicts tell most about the rest, chosen again after {_BATCH} verdicts."
        )
        return
    flagged = len(view.selection.flagged)
    others = f" and {messages.counted(len(rows) - flagged, 'other', 'others')} at random, to tell how many are missed"
    words = f"{flagged:,} flagged{others if len(rows) > flagged else ''}, in the order of suspicion."
    nothing = "Nothing here is flagged, so the queue holds every sample that passes, most suspicious first."
    messages.quiet(words if flagged else nothing)


def _evidence(view: Opened, coming: Sequence[str], rows: NDArray[np.int64], resting: str | None) -> None:
    if not coming:
        if (view.board.codes >= 0).all():
            messages.note("Everything is decided. Export the result.")
        elif (view.board.codes[rows] < 0).any():
            messages.note(
                "What is left of this queue is before others, who have five minutes for each. What they leave comes to "
                "you when you reload the page; beside your name you can choose to decide on it as well."
            )
        else:
            messages.note(
                "Everything in this queue is decided. Lower the threshold on the Explore page to see more, or export."
            )
        return
    shown = _standing(view, coming[0], resting)
    with st.expander("Evidence for the sample that is shown", expanded=True):
        if shown is None:
            messages.quiet("It follows when you stop at a sample.")
            return
        row = view.data.ids.row(shown)
        scores, near = st.columns([1, 2], gap="medium")
        with scores:
            hints.section("Review", "Evidence", "Suspicion by every score")
            table = pd.DataFrame(
                {
                    "Score": [name.replace("_", " ") for name in view.data.scores],
                    "Percentile": [view.data.percentile(name, row) for name in view.data.scores],
                }
            )
            st.dataframe(
                table,
                hide_index=True,
                height=min(35 * len(table) + 38, 300),
                column_config={"Percentile": charts.percent("Percentile", "%.1f")},
            )
            messages.quiet(desk.pull(view.data, row))
            about_row(view, row, key="review-ask")
        with near:
            neighbours(view, row, key="review-near")
        look_after(view.data, row)


def _standing(view: Opened, coming: str, resting: str | None) -> str | None:
    """The sample that the reviewer looks at; None while keys come fast, when evidence would hold up the next one."""
    pressed = state.memory("pressed", view.board.version) != view.board.version
    state.remember("pressed", view.board.version)
    if resting is None or resting == coming or resting not in view.data.ids:
        return coming
    return None if pressed else resting


@messages.guarded
def _grid() -> None:
    """All flagged samples of one class side by side, to spot the odd one out and decide on many at once."""
    view = header.opened()
    assert view is not None
    data = view.data
    rows = view.selection.flagged
    if not len(rows):
        messages.empty("No flagged sample passes this filter.")
        return
    done(view)
    hints.section("Review", "Grid by class")
    code = _class_of(view, rows)
    mine = rows[data.given[rows] == code]
    pages = -(-len(mine) // _GRID)
    page = st.pagination(pages, key=f"grid-page-{code}-{pages}") if pages > 1 else 1
    rows = mine[(page - 1) * _GRID : page * _GRID].tolist()
    views = desk.tiles(view.data, view.board, rows, score=view.score, flagged=view.flagged)
    sample_grid(
        views,
        key=f"class-grid-{data.name}",
        classes=data.info.choices,
        on_bulk=lambda action: bulk(view, action, mine),
        on_open=view.session.open_sample,
        total=len(mine),
    )


def _class_of(view: Opened, rows: NDArray[np.int64]) -> int:
    """The class to look at, chosen by the person where the data has classes; -1 where it has none."""
    data = view.data
    codes, counts = np.unique(data.given[rows], return_counts=True)
    flagged = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    if not data.classes:
        return -1
    class_code: int = st.selectbox(
        "Given label",
        sorted(flagged, key=lambda code: -flagged[code]),
        format_func=lambda code: f"{data.class_name(code)} ({flagged[code]:,} flagged)",
        key=f"grid-class-{data.name}",
    )
    return class_code
