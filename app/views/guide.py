"""The user guide: a page of its own, and the part for each page behind its question mark."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from oga_app import state
from oga_app.elements import messages
from oga_app.views.frame import tour

FOLDER = Path(__file__).parents[1] / "help"
TOPICS = ("Run", "Explore", "Review", "Compare", "Export")
FURTHER = ("Clusters", "Format")
"""Parts that belong to no page."""


def text(topic: str) -> str:
    """What the guide says of one page, as Markdown; it is ours, so it may be read as such."""
    return (FOLDER / f"{topic.lower()}.md").read_text(encoding="utf-8")


def show() -> None:
    """Draw the guide as a page."""
    messages.title("Help", "What each page is for, and how to work on it.")
    topic = st.segmented_control(
        "Page", (*TOPICS, *FURTHER), default=TOPICS[0], required=True, key="help-topic", label_visibility="collapsed"
    )
    st.markdown(_below_title(text(topic)), width=760)
    current = state.session()
    with st.container(horizontal=True):
        if topic in TOPICS and st.button(f"Go to {topic}", key="help-go"):
            current.go(topic)
        if st.button("Show the tour again", key="tour-again", help="On runs of the sample data sets"):
            tour.begin_again(current)
            messages.quiet("It begins on the Run page of a sample.")


def question_mark(topic: str) -> None:
    """The guide's part for the page that is shown, behind a question mark."""
    with st.popover("", icon=":material/help:", help=f"How {topic} works", key=f"help-{topic}"):
        st.markdown(_below_title(text(topic)), width=560)


def _below_title(markdown: str) -> str:
    """The page has its own title, so the guide's is a section there."""
    return markdown.replace("# ", "### ", 1)
