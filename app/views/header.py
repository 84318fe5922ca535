"""What the pages of an open run share: what is open, and the title with the choice of the score."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from oga_app import cache, state
from oga_app.elements import messages
from oga_app.state import Session
from oga_app.views.guide import page_title
from oga_core.review.board import DecisionBoard
from oga_core.review.selection import Selection
from oga_core.runs.scored import ScoredRun


@dataclass(frozen=True)
class Opened:
    """An open run with all that a page needs: its arrays, decisions, score, number of flagged samples and filter."""

    session: Session
    data: ScoredRun
    board: DecisionBoard
    score: str
    flagged: int

    @property
    def selection(self) -> Selection:
        """The samples that pass the filter, and those of them that are flagged: what every number of a page counts."""
        return cache.selection(self.data, self.board, self.session.filters, self.score, self.flagged)


def opened() -> Opened | None:
    """The open run, or None with a message on the page where there is none that can be shown."""
    current = state.session()
    if current.run is None:
        messages.empty("No run is open.\nChoose one, or score a model and its data, on the Run page.")
        return None
    if not (current.run / "scores.parquet").is_file():
        _unscored(current)
        return None
    data = cache.run_data(current.run)
    board = cache.board(data)
    return Opened(current, data, board, current.score_of(data), current.flagged_of(data))


def title(page: str, view: Opened) -> None:
    """Title, facts and the choice of the score, which sorts every page."""
    data = view.data
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        facts = [data.name, messages.counted(len(data), "sample", "samples")]
        facts += [messages.counted(len(data.classes), "class", "classes")] if data.classes else []
        if not view.session.filters:
            facts += [f"{view.flagged:,} flagged ({messages.percent(view.flagged / len(data))})"]
        page_title(page, " · ".join(facts))
    with right:
        score_name = st.selectbox(
            "Sorted by the score",
            data.scores,
            index=data.scores.index(view.score),
            format_func=lambda name: name.replace("_", " "),
            key=f"score-{data.name}",
        )
    if score_name != view.score:
        view.session.score = score_name
        st.rerun()


def _unscored(current: Session) -> None:
    from oga_core.runs.folder import RunFolder

    assert current.run is not None
    info = RunFolder.open(current.run).info
    words = {
        "running": "is still being scored. The Run page shows how far it is.",
        "failed": f"could not be scored: {info.error or 'no reason was recorded'}",
        "cancelled": "was cancelled. The Run page can continue it.",
    }
    reason = words.get(info.status, "has no scores yet.")
    messages.empty(f"The run {current.run.name} {reason}")
