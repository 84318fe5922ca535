"""Compare: the scores side by side, on their ranks and on what the person found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from oga_app.components.grid.sample_grid import sample_grid
from oga_app.elements import charts, desk, hints, messages
from oga_app.state import Batch
from oga_app.views import header
from oga_app.views.detail import detail
from oga_app.views.header import Opened
from oga_core.evaluation.advice import advise, shown_first
from oga_core.evaluation.verdicts import (
    ALL,
    SELECTION,
    average_ranks,
    described,
    families,
    members,
    method_table,
    overlaps,
    rank_correlation,
)

_SHOWN = 24
_SIDE_BY_SIDE = 14
_ON_VERDICTS = (
    "Precision: share of the decided samples among its flagged ones that you relabelled or removed, with a 90 % "
    "interval; the highest lower bound first. Most verdicts come from the queue of the score you sort by, so a score "
    "that ranks other samples first has few, and they are not a fair draw of what it flags."
)
_UNKNOWN = {"verdicts": "–", "interval": "–"}


def show() -> None:
    """Draw the page."""
    view = header.opened()
    if view is None:
        return
    view.session.take_stale()
    header.title("Compare", view)
    part = st.segmented_control(
        "Show", list(_PARTS), default="Scores", required=True, key="compare-part",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    _PARTS[part](view)
    if view.session.opened:
        detail(view)


@messages.guarded
def _scores(view: Opened) -> None:
    table = method_table(view.data, view.board.verdicts, view.score, view.flagged)
    _advice(view, table)
    is_judged = view.board.judged.any()
    if is_judged:
        hints.section("Compare", "Scores", "How good each score is, on your verdicts", _ON_VERDICTS)
    else:
        hints.section(
            "Compare", "Scores", about="As you review, the precision of each on your verdicts stands here too."
        )
    messages.quiet(f"{_words(view.score)}: {described(view.score, view.data.info)}")
    first = shown_first(view.data, table, view.score)
    more = len(table) > len(first) and st.toggle(f"All {len(table)} scores", key="compare-all", persist_state="session")
    shown = table if more else table[table["score"].isin(first)]
    untold = [] if is_judged else ["precision", "verdicts", "interval"]
    untold += ["overlap"] if _at_an_end(view) else []
    _table(shown.drop(columns=untold))
    if len(view.data.scores) > 1:
        _charts(view, table)


def _advice(view: Opened, table: pd.DataFrame) -> None:
    """One sentence first, and the button that does what it says."""
    advice = advise(view.data, view.board.verdicts, table, view.flagged)
    if not advice.sentence:
        return
    messages.prose(advice.sentence)
    count = len(advice.rows)
    if count and st.button(
        f"Review these {count:,}", type="primary", key="advice-review", icon=":material/rate_review:"
    ):
        view.session.batch = Batch("on which the scores differ most", advice.rows)
        view.session.go("Review")


def _table(table: pd.DataFrame) -> None:
    st.dataframe(
        table.assign(score=table["score"].map(_words)).drop(columns="low").fillna(_UNKNOWN),
        hide_index=True,
        column_config={
            "score": st.column_config.TextColumn("Score", pinned=True),
            "family": st.column_config.TextColumn("Family"),
            "precision": charts.percent("Precision on verdicts"),
            "verdicts": st.column_config.TextColumn("Wrong of decided"),
            "interval": st.column_config.TextColumn("90 % interval"),
            "overlap": charts.percent("Overlap with the chosen"),
            "seconds": st.column_config.NumberColumn("Seconds after the pass", format="%.3g"),
            "passes": st.column_config.TextColumn("Passes it needs"),
            "about": st.column_config.TextColumn("What it is"),
        },
    )
    messages.quiet(
        "Seconds after the pass: what the score alone took once the passes beside it were there, which scores share. "
        "Where a score is the same for many samples at the threshold, verdicts on all of them count; in the overlap "
        "each counts by the share of them that is flagged."
    )


def _charts(view: Opened, table: pd.DataFrame) -> None:
    data = view.data
    narrow, wide = st.columns([1, 3], gap="medium")
    group = narrow.selectbox(
        "Scores in the charts", [SELECTION, *families(data), ALL], key=f"compare-group-{data.name}",
        format_func=lambda name: name.capitalize() or "Other",
        help="A selection: the default score, the chosen one, the paper's three, and the best of each family.",
    )  # fmt: skip
    names = wide.multiselect(
        "Which of them", data.scores, members(data, table, group, view.score), format_func=_words,
        key=f"compare-names-{data.name}-{group}",
    )  # fmt: skip
    if len(names) < 2:
        messages.quiet("Choose two scores or more.")
        return
    left, right = st.columns(2, gap="large") if len(names) <= _SIDE_BY_SIDE else (st.container(), st.container())
    with left:
        hints.section(
            "Compare",
            "Agreement",
            "Rank correlation",
            "Spearman, over all samples; equal scores share their mean rank.",
        )
        st.plotly_chart(charts.heat(rank_correlation(data, names), names, -1), key="correlation")
    with right:
        about = f"Share of the {view.flagged:,} flagged samples that two scores have in common."
        messages.section("Overlap at the threshold", "" if _at_an_end(view) else about)
        if _at_an_end(view):
            messages.quiet(
                f"{'Everything' if view.flagged else 'Nothing'} is flagged, so it tells no scores apart. Move the "
                "threshold on the Explore page."
            )
        else:
            st.plotly_chart(charts.heat(overlaps(data, names, view.flagged), names, 0), key="overlap-chart")


def _at_an_end(view: Opened) -> bool:
    """Whether nothing or everything is flagged, which is the same by every score."""
    return view.flagged in (0, len(view.data))


@messages.guarded
def _disagreement(view: Opened) -> None:
    data = view.data
    if len(data.scores) < 2:
        messages.empty("This run has one score, so there is nothing to compare it with.")
        return
    hints.section("Compare", "Disagreement")
    sides = st.columns(2, gap="medium")
    one = _choice(sides[0], "Compare", view, view.score)
    other = _choice(sides[1], "With", view, next(name for name in data.scores if name != view.score))
    if one == other:
        messages.empty("Choose two different scores.")
        return
    lead = average_ranks(data, other) - average_ranks(data, one)
    for title, ahead in ((f"High by {one}, low by {other}", lead), (f"High by {other}, low by {one}", -lead)):
        rows = np.argsort(-ahead, kind="stable")[:_SHOWN]
        rows = rows[ahead[rows] > 0]
        messages.section(_words(title))
        if not len(rows):
            messages.empty("The two scores order all samples alike.")
            continue
        views = desk.tiles(data, view.board, rows.tolist(), score=view.score, flagged=view.flagged)
        sample_grid(views, key=f"differ-{title}", on_open=view.session.open_sample)


def _choice(column: DeltaGenerator, label: str, view: Opened, first: str) -> str:
    """A score of the person's choice, with what it is below it."""
    scores = view.data.scores
    with column:
        key = f"compare-{label}-{view.data.name}-{view.score}"
        name = st.selectbox(label, scores, scores.index(first), format_func=_words, key=key)
        messages.quiet(described(name, view.data.info))
    return name


@messages.guarded
def _retrain(view: Opened) -> None:
    from oga_app.views.comparison import retrain

    retrain.show(view)


@messages.guarded
def _another_run(view: Opened) -> None:
    from oga_app.views.comparison import two_runs

    two_runs.show(view)


_PARTS = {"Scores": _scores, "Disagreement": _disagreement, "Retrain": _retrain, "Another run": _another_run}


def _words(name: str) -> str:
    return name.replace("_", " ")
