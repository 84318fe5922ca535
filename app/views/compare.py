"""Compare: the scores side by side, on their ranks and on what the person found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from oga_app import charts, desk, frame, messages
from oga_app.components.sample_grid import sample_grid
from oga_app.frame import Opened
from oga_app.run_data import RunData
from oga_app.views.detail import detail
from oga_core.review.decisions import ACTIONS

_SHOWN = 24
_MAX_NAMES = 12


def show() -> None:
    """Draw the page."""
    view = frame.opened()
    if view is None:
        return
    view.session.take_stale()
    frame.header("Compare", view)
    part = st.segmented_control(
        "Show", ["Scores", "Disagreement", "Retrain"], default="Scores", required=True, key="compare-part",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    {"Scores": _scores, "Disagreement": _disagreement, "Retrain": _retrain}[part](view)
    if view.session.opened:
        detail(view)


@messages.guarded
def _scores(view: Opened) -> None:
    data = view.data
    messages.section(
        "How good each score is, on your verdicts",
        "Precision: share of the decided samples among its flagged ones that you relabelled or removed.",
    )
    table = method_table(data, view.board.codes, view.score, view.flagged)
    st.dataframe(
        table.assign(score=table["score"].str.replace("_", " ")),
        hide_index=True,
        column_config={
            "score": "Score",
            "precision": charts.percent("Precision on verdicts"),
            "verdicts": st.column_config.NumberColumn("Verdicts among flagged"),
            "found": st.column_config.NumberColumn("Bad ones found"),
            "overlap": charts.percent("Overlap with the chosen"),
            "seconds": st.column_config.NumberColumn("Seconds", format="%.3g"),
        },
    )
    if not (view.board.codes >= 0).any():
        messages.quiet("No verdicts yet. The first column fills as you review.")
    if len(data.scores) < 2:
        return
    names = st.multiselect(
        "Scores in the charts", data.scores, data.scores[:_MAX_NAMES], format_func=lambda name: name.replace("_", " "),
        key=f"compare-names-{data.name}",
    )  # fmt: skip
    if len(names) < 2:
        messages.quiet("Choose two scores or more.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        messages.section("Rank correlation", "Spearman, over all samples.")
        st.plotly_chart(charts.heat(rank_correlation(data, names), names, -1), key="correlation")
    with right:
        messages.section(
            "Overlap at the threshold", f"Share of the {view.flagged:,} flagged samples that two scores have in common."
        )
        st.plotly_chart(charts.heat(overlaps(data, names, view.flagged), names, 0), key="overlap-chart")


@messages.guarded
def _disagreement(view: Opened) -> None:
    data = view.data
    others = [name for name in data.scores if name != view.score]
    if not others:
        messages.empty("This run has one score, so there is nothing to compare it with.")
        return
    other = st.selectbox("Compare with", others, format_func=lambda name: name.replace("_", " "), key="compare-with")
    distance = (data.rank(other) - data.rank(view.score)) / len(data)
    for title, rows in (
        (f"High by {view.score}, low by {other}", np.argsort(-distance, kind="stable")[:_SHOWN]),
        (f"High by {other}, low by {view.score}", np.argsort(distance, kind="stable")[:_SHOWN]),
    ):
        rows = rows[np.abs(distance[rows]) > 0]
        messages.section(title.replace("_", " "))
        if not len(rows):
            messages.empty("The two scores order all samples alike.")
            continue
        views = [
            desk.sample_view(data, view.board, int(row), score=view.score, flagged=view.flagged, full=False)
            for row in rows
        ]
        sample_grid(views, key=f"differ-{title}", on_open=view.session.open_sample)


@messages.guarded
def _retrain(view: Opened) -> None:
    from oga_app.views import retrain

    retrain.show(view)


def method_table(data: RunData, codes: NDArray[np.int8], chosen: str, flagged: int) -> pd.DataFrame:
    """One line a score: precision on the verdicts among its flagged samples, overlap with the chosen score, cost."""
    bad = np.isin(codes, [ACTIONS.index("relabel"), ACTIONS.index("remove")])
    judged = bad | (codes == ACTIONS.index("keep"))
    seconds = data.info.get("seconds", {}).get("each_score", {})
    lines = []
    for name in data.scores:
        top = data.rank(name) < flagged
        verdicts, found = int((top & judged).sum()), int((top & bad).sum())
        both = int((top & (data.rank(chosen) < flagged)).sum())
        lines.append(
            {
                "score": name,
                "precision": 100 * found / verdicts if verdicts else None,
                "verdicts": verdicts,
                "found": found,
                "overlap": 100 * both / flagged if flagged else None,
                "seconds": seconds.get(name),
            }
        )
    return pd.DataFrame(lines).sort_values("precision", ascending=False, kind="stable", na_position="last")


def rank_correlation(data: RunData, names: list[str]) -> NDArray[np.float64]:
    """Spearman's correlation of the scores, `(n_names, n_names)`, ties by position."""
    if len(data) < 2:
        return np.ones((len(names), len(names)))
    return np.corrcoef(np.stack([data.rank(name) for name in names]))


def overlaps(data: RunData, names: list[str], flagged: int) -> NDArray[np.float64]:
    """Share of the flagged samples that two scores have in common, `(n_names, n_names)`, 0 to 1."""
    top = np.stack([data.rank(name) < flagged for name in names]).astype(np.float64)
    return top @ top.T / max(flagged, 1)
