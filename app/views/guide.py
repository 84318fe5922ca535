"""The user guide: a page of its own, and the part for each page behind its question mark."""

from __future__ import annotations

import streamlit as st

from oga_app import state
from oga_app.elements import hints, messages
from oga_app.views.frame import tour

TOPICS = ("Run", "Explore", "Review", "Ask", "Compare", "Export")
FURTHER = ("Tasks", "Language", "Clusters", "Format", "Figures")
"""Parts that belong to no page."""


def show() -> None:
    """Draw the guide as a page."""
    messages.title("Help", "What each page is for, and how to work on it.")
    topic = st.segmented_control(
        "Page", (*TOPICS, *FURTHER), default=TOPICS[0], required=True, key="help-topic", label_visibility="collapsed"
    )
    st.markdown(hints.below_title(topic), width=760)
    current = state.session()
    with st.container(horizontal=True):
        is_open = topic in TOPICS and (topic != "Ask" or current.speaks)
        if is_open and st.button(f"Go to {topic}", key="help-go"):
            current.go(topic)
        if st.button("Show the tour again", key="tour-again", help="On runs of the sample data sets"):
            tour.begin_again(current)
            messages.quiet("It begins on the Run page of a sample.")


def page_title(topic: str, about: str) -> None:
    """The page's title with one quiet line, and the guide's part for the page behind a question mark."""
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap=None):
            messages.heading(topic, "h1")
            with st.popover(f"How {topic} works", icon=":material/help:", type="tertiary", key=f"hint-mark-{topic}"):
                st.markdown(hints.below_title(topic), width=560)
        messages.quiet(about)
