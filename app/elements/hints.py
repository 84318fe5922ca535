"""What the user guide says of one block of a page, behind a question mark beside its heading.

The guide is the Markdown in `help/`: a file for each page, in it a heading of the second level for each block.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import streamlit as st

from oga_app.elements import messages

FOLDER = Path(__file__).parents[1] / "help"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_TITLES = re.compile(r"^(#+) ", re.MULTILINE)


@cache
def text(topic: str) -> str:
    """What the guide says of one page, as Markdown; it is ours, so it may be read as such."""
    return (FOLDER / f"{topic.lower()}.md").read_text(encoding="utf-8")


def below_title(topic: str) -> str:
    """The same for a page that has its own title, of which the guide's are sections."""
    return _TITLES.sub(r"##\1 ", text(topic))


@cache
def blocks(topic: str) -> dict[str, str]:
    """What the guide says of each block of a page, by its heading."""
    _, *parts = _HEADING.split(text(topic))
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def hint(topic: str, block: str, place: str = "", *, is_named: bool = False) -> None:
    """A question mark with what the guide says of a block; `place` tells two on one page apart.

    is_named: whether the block's name is seen, where it has no heading; a screen reader says it in any case.
    """
    look = "named" if is_named else "mark"
    key = "-".join(filter(None, ("hint", look, topic.lower(), block.lower().replace(" ", "-"), place)))
    with st.popover(block if is_named else f"About: {block}", icon=":material/help:", type="tertiary", key=key):
        st.markdown(f"**{block}**\n\n{blocks(topic)[block]}", width=440)


def section(topic: str, block: str, title: str = "", about: str = "", *, place: str = "") -> None:
    """The title of a part of the page, by default the block's name, with its question mark."""
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap=None):
            messages.heading(title or block)
            hint(topic, block, place)
        if about:
            messages.quiet(about)
