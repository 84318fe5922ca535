"""What the pages of an open run share: the header, the chips of the filter, the saved views."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from oga_app import cache, state
from oga_app.elements import messages
from oga_app.state import Session
from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.review.board import DecisionBoard
from oga_core.review.filters import Filters
from oga_core.runs.scored import ScoredRun
from oga_core.runs.side_files import read_object

MAX_VIEWS = 100
T = TypeVar("T")


@dataclass(frozen=True)
class Opened:
    """An open run with all that a page needs: its arrays, decisions, score, number of flagged samples and filter."""

    session: Session
    data: ScoredRun
    board: DecisionBoard
    score: str
    flagged: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which samples pass the filter, `(n_samples,)`."""
        return cache.mask(self.data, self.board, self.session.filters, self.score, self.flagged)


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
        facts += [f"{view.flagged:,} flagged ({messages.percent(view.flagged / len(data))})"]
        messages.title(page, " · ".join(facts))
    with right:
        chosen = st.selectbox(
            "Sorted by the score",
            data.scores,
            index=data.scores.index(view.score),
            format_func=lambda name: name.replace("_", " "),
            key=f"score-{data.name}",
        )
    if chosen != view.score:
        view.session.score = chosen
        st.rerun()


def chips(view: Opened, before: Callable[[], T]) -> T:
    """The filter as chips that can be removed one by one, and views kept by name; `before` stands first in the row."""
    current = view.session
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        result = before()
        for name, words in current.filters.chips():
            if st.button(messages.plain(words), key=f"chip-{name}", icon=":material/close:", help="Remove this filter"):
                current.drop_filter(name)
                st.rerun()
        if current.filters:
            messages.quiet(f"{int(view.mask.sum()):,} of {len(view.data):,} samples")
        if sum(1 for _ in current.filters.chips()) > 1 and st.button("Clear all", key="chip-all", type="tertiary"):
            current.drop_filter()
            st.rerun()
        with st.popover("Filter", icon=":material/filter_list:"):
            _fields(view)
        with st.popover("Views", icon=":material/bookmark:"):
            _views(view)
    return result


def _fields(view: Opened) -> None:
    from oga_core.review.decisions import ACTIONS
    from oga_core.review.filters import SIDES, UNDECIDED

    current, data = view.session, view.data
    choices = {
        "given": ("Given label", data.classes),
        "predicted": ("Predicted label", data.classes),
        "finding": ("Finding", data.finding_names),
        "decision": ("Decision", (UNDECIDED, *ACTIONS)),
        "side": ("Threshold", SIDES),
    }
    changed = {}
    for name, (label, options) in choices.items():
        if options:
            value = getattr(current.filters, name)
            index = options.index(value) if value in options else None
            key = f"filter-{name}-{value}"
            changed[name] = st.selectbox(label, options, index=index, placeholder="any", key=key)
    text = st.text_input(
        "Part of the sample's id", current.filters.text or "", key=f"filter-text-{current.filters.text}"
    )
    wanted = Filters(**changed, text=text or None, polygon=current.filters.polygon)
    if wanted != current.filters:
        current.filters = wanted
        st.rerun()


def _views(view: Opened) -> None:
    saved = _saved(view.data)
    for name in sorted(saved):
        if st.button(messages.plain(name), key=f"view-{name}", width="stretch"):
            _recall(view, saved[name])
    with st.form("save-view", border=False):
        name = st.text_input("Name of this view", max_chars=80, key="view-name")
        if st.form_submit_button("Save this view", key="save-view") and name.strip():
            kept = {"filters": view.session.filters.to_json(), "score": view.score, "flagged": view.flagged}
            content = {**saved, name.strip(): kept}
            if len(content) > MAX_VIEWS:
                raise OgaError(f"There are {MAX_VIEWS} saved views. Save this one under a name that exists.")
            text = json.dumps(content, ensure_ascii=False, indent=1)
            write_whole(view.data.path / "views.json", lambda path: path.write_text(text, encoding="utf-8"))
            st.rerun()


def _saved(data: ScoredRun) -> dict[str, dict[str, object]]:
    advice = "Remove it to save views again."
    content = read_object(data.path / "views.json", advice) or {}
    if not all(isinstance(kept, dict) and isinstance(kept.get("flagged"), int) for kept in content.values()):
        raise OgaError(f"{data.path / 'views.json'} is damaged. {advice}")
    return content


def _recall(view: Opened, kept: dict[str, object]) -> None:
    view.session.filters = Filters.from_json(str(kept.get("filters", "")))
    view.session.score = str(kept.get("score"))
    view.session.set_flagged(int(str(kept.get("flagged", view.flagged))))
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
