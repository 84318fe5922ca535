"""What pages show where samples have numbers, several labels or tags: facts, a field for others, and charts."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from oga_app.elements import charts, desk, messages, theme
from oga_app.elements.targets import tagged, values
from oga_app.elements.thumbnails import thumbnails
from oga_app.views.header import Opened
from oga_core.numerics import evenly_spaced
from oga_core.samples import NO_LABELS, is_number, labels_of, labels_text

MOST_POINTS = 2000
"""Of a chart, of either colour: more hide each other and take the browser seconds."""


def facts(view: Opened, row: int) -> None:
    """The given number or labels, what the model predicts and what is suggested."""
    data = view.data
    what = {"number": "value", "vector": "values", "mask": "classes"}.get(data.target, data.target)
    for label, text in (
        (f"Given {what}", data.given_text(row)),
        ("The model predicts", data.text("predicted_label", row)),
        (f"Suggested {what}", data.text("suggested_label", row)),
    ):
        if text:
            messages.quiet(label)
            messages.prose(text)


def new_value(view: Opened, row: int) -> str | None:
    """Draw the field for a new number or other labels, with the suggestion in it; return it once it is to be saved."""
    if view.data.target == "tags":
        return _new_tag(view, row)
    if view.data.target == "mask":
        choice = st.selectbox("New mask", view.data.info.choices, key="detail-mask")
        return choice if st.button("Decide", type="primary") else None
    if view.data.target == "labels":
        return _new_labels(view, row)
    text: str = st.text_input("New value", view.data.proposal(row) or "", max_chars=40, key="detail-value").strip()
    if text and not is_number(text):
        messages.problem("That is not a number. Write it with a point, such as 3.5.")
    return text if st.button("Save the new value", type="primary", disabled=not is_number(text)) else None


def _new_tag(view: Opened, row: int) -> str | None:
    """One word and its new tag, the most suspicious word and what is likelier at first; all tags once it is saved."""
    names = list(view.data.info.label_names)
    tags = labels_of(view.data.given_text(row) or NO_LABELS)
    words = thumbnails(view.data, [row], desk.SMALL)[0].words
    first = next(iter(tagged.doubts(view.data, row)), None)
    word: int = st.selectbox(
        "Word",
        range(len(tags)),
        index=first.place if first else 0,
        format_func=lambda place: f"{place + 1} · {words[place] if place < len(words) else ''}: {tags[place]}",
        key="detail-word",
    )
    likely = first.suggested if first and first.place == word else names.index(tags[word])
    tags[word] = st.selectbox("New tag", names, index=likely, key=f"detail-tag-{word}")
    return labels_text(tags) if st.button("Save the new tag", type="primary") else None


def _new_labels(view: Opened, row: int) -> str | None:
    proposed = labels_of(view.data.proposal(row) or NO_LABELS)
    chosen = st.multiselect("New labels", view.data.info.label_names, proposed, key="detail-labels")
    return labels_text(chosen) if st.button("Save the new labels", type="primary") else None


@messages.guarded
def given_and_predicted(view: Opened) -> None:
    """How the numbers are distributed, and each beside what the model predicts; the flagged stand out."""
    flagged = np.zeros(len(view.data), dtype=bool)
    flagged[view.selection.flagged] = True
    if view.data.predicted_values is None:
        st.plotly_chart(_histogram(view, flagged), key="values")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(_histogram(view, flagged), key="values")
    with right:
        st.plotly_chart(_scatter(view, flagged), key="given-predicted")


def _parts(view: Opened, flagged: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.int64], str]]:
    chosen = view.selection.chosen
    return [
        ("not flagged", np.flatnonzero(chosen & ~flagged), theme.GREY),
        ("flagged", np.flatnonzero(chosen & flagged), theme.ACCENT),
    ]


def _histogram(view: Opened, flagged: NDArray[np.bool_]) -> go.Figure:
    _, edges = values.distribution(view.data)
    width = edges[1] - edges[0]
    figure = go.Figure()
    for name, rows, colour in _parts(view, flagged):
        counts, _ = np.histogram(np.clip(view.data.given_values[rows], edges[0], edges[-1]), edges)
        figure.add_bar(x=edges[:-1] + width / 2, y=counts, width=width, name=name, marker_color=colour)
    return charts.quiet(figure, 320, barmode="stack", bargap=0.04, xaxis_title="given value", yaxis_title="samples")


def _scatter(view: Opened, flagged: NDArray[np.bool_]) -> go.Figure:
    predicted = view.data.predicted_values
    assert predicted is not None, "the caller asks for it"
    figure = go.Figure()
    for name, rows, colour in _parts(view, flagged):
        shown = evenly_spaced(rows, MOST_POINTS)
        figure.add_scatter(
            x=predicted[shown],
            y=view.data.given_values[shown],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 5, "opacity": 0.6},
            text=view.data.ids[shown].astype(str),
            hovertemplate="%{text}: given %{y:.4g}, predicted %{x:.4g}<extra></extra>",
        )
    return charts.quiet(figure, 320, xaxis_title="predicted value", yaxis_title="given value")
