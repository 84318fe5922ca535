"""Views of a run kept by name: filter, score and threshold."""

from __future__ import annotations

import json

import streamlit as st

from oga_app.elements import messages
from oga_app.views.header import Opened
from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.review.filters import Filters
from oga_core.runs.scored import ScoredRun
from oga_core.runs.side_files import read_object

MAX_VIEWS = 100


def views(view: Opened) -> None:
    """Draw the names to recall, and the form that keeps what is shown now."""
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
    if not all(isinstance(view, dict) and isinstance(view.get("flagged"), int) for view in content.values()):
        raise OgaError(f"{data.path / 'views.json'} is damaged. {advice}")
    return content


def _recall(view: Opened, content: dict[str, object]) -> None:
    view.session.filters = Filters.from_json(str(content.get("filters", "")))
    view.session.score = str(content.get("score"))
    view.session.set_flagged(int(str(content.get("flagged", view.flagged))))
    st.rerun()
