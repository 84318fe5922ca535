"""Ask: which training rows made a language model say something, and which pushed against it."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import streamlit as st

from oga_app import cache, state
from oga_app.elements import hints, messages
from oga_app.views import header
from oga_app.views.detail import detail
from oga_app.views.guide import page_title
from oga_app.views.header import Opened
from oga_core.ask.asker import Answer
from oga_core.ask.methods import METHODS, TITLES

_TOP = 10
_ALIKE = 0.8
"""Share of words in common from which a row is nearly the same text: rows of one template share about half."""


def show() -> None:
    """Draw the page."""
    view = header.opened()
    if view is None:
        return
    view.session.take_stale()
    page_title("Ask", f"{view.data.name} · {messages.counted(len(view.data), 'row', 'rows')}")
    if not view.session.speaks:
        messages.empty("Only a run of a language model can be asked what made it say something.")
        return
    _question(view)
    _answer(view)
    if view.session.opened:
        detail(view)


@messages.guarded
def _question(view: Opened) -> None:
    cache.asker(view.data)  # begins to load the model while the question is typed
    hints.section("Ask", "Question")
    with st.form("ask", border=False):
        left, right = st.columns(2, gap="medium")
        prompt = left.text_area("Prompt", key="ask-prompt", height=110, placeholder="What the model is asked")
        response = right.text_area(
            "Response", key="ask-response", height=110, placeholder="Leave empty, and the model writes it"
        )
        if st.form_submit_button("Ask", type="primary", key="ask-go"):
            state.remember("asked", {"run": view.data.name, "prompt": prompt, "response": response or None})


@messages.guarded
def _answer(view: Opened) -> None:
    asked: dict[str, Any] = state.memory("asked", {})
    if asked.get("run") != view.data.name:
        messages.quiet(
            "The answer is two lists of training rows: those that pushed the model towards what it says, and those "
            "that pushed against it."
        )
        return
    hints.section("Ask", "Answer")
    method = st.segmented_control(
        "By", list(METHODS), default=cache.asker(view.data).default_method, format_func=TITLES.__getitem__,
        required=True, key="ask-method", label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    answer = _ask(view, asked, method)
    _said(view, asked, answer)
    whole = "whole gradients" if answer.whole else "sketches of the gradients"
    messages.quiet(f"{TITLES[method]}, on {whole}: {METHODS[method]}.")
    scores = pd.concat([answer.pushed_for["score"], answer.pushed_against["score"]]).astype(float)
    strongest = float(scores.abs().max()) if len(scores) else 0.0
    left, right = st.columns(2, gap="large")
    with left:
        _rows(view, "Pushed for it", answer.pushed_for, "for", strongest)
    with right:
        _rows(view, "Pushed against it", answer.pushed_against, "against", strongest)


def _ask(view: Opened, asked: dict[str, Any], method: str) -> Answer:
    """The answer, asked for once."""
    key = (str(asked), method, view.data.version)
    latest = state.memory("answer", (None, None))
    if latest[0] != key:
        asker = cache.asker(view.data)
        with st.spinner("Asking the model. The first question waits until it is loaded."):
            if "row" in asked:
                result = asker.like([asked["row"]], method=method, top=_TOP)
            else:
                result = asker.about(asked["prompt"], asked["response"], method=method, top=_TOP)
        latest = (key, result)
        state.remember("answer", latest)
    answer: Answer = latest[1]
    return answer


def _said(view: Opened, asked: dict[str, Any], answer: Answer) -> None:
    query = answer.queries[0]
    if "row" in asked:
        messages.section(f"What row {query['id']} says")
        messages.prose(query["text"])
    elif query["generated"]:
        messages.section("The model says", "Written just now, its likeliest token each time.")
        messages.prose(query["response"] or "Nothing: it ends at once.")
    else:
        messages.section("Asked about")
        messages.prose(query["response"])


def _rows(view: Opened, title: str, rows: pd.DataFrame, side: str, strongest: float) -> None:
    """One list; the bars of both are as long as their rows pushed, of the strongest of all."""
    messages.section(title)
    if rows.empty:
        messages.empty("No row did.")
        return
    for place, row in enumerate(rows.to_dict("records"), start=1):
        with st.container(border=True, gap="small"):
            share = abs(float(row["score"])) / max(strongest, 1e-30)
            st.html(_facts(place, share, float(row["words"]), f"{row['place_by_words']:,} of {len(view.data):,}", side))
            messages.prose(str(row["text"]))
            if st.button("Review", key=f"ask-{side}-{row['row']}", icon=":material/open_in_new:", type="tertiary"):
                view.session.open_sample(str(row["id"]))
                st.rerun()


def _facts(place: int, share: float, words: float, by_words: str, side: str) -> str:
    """A bar as long as the score, and how alike the words are."""
    alike = "nearly the same words" if words >= _ALIKE else f"{messages.percent(words, 0)} of the words in common"
    text = html.escape(f"{place} · {alike} · number {by_words} by words")
    bar = f'<div class="oga-push {side}" role="img" aria-label="{share:.0%} of the strongest">'
    return f'{bar}<i style="width:{share:.1%}"></i></div><p class="oga oga-quiet">{text}</p>'
