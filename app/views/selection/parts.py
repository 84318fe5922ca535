"""The parts of a page, of which one is shown at a time."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def part(names: Sequence[str], key: str, label: str = "Show") -> str:
    """The part that the person chose in a row of buttons, the first until then; it outlives the page being left.

    label: what a screen reader says.
    """
    choice: str = st.segmented_control(
        label,
        list(names),
        default=names[0],
        required=True,
        key=key,
        label_visibility="collapsed",
        persist_state="session",
    )
    return choice
