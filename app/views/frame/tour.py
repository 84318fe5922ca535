"""The tour: five steps through the pages on a sample data set, above the page, and never in the way of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from oga_app.background.samples import is_sample
from oga_app.elements import messages
from oga_app.state import Session
from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.runs.side_files import read_object

_FILE = ".tour.json"


@dataclass(frozen=True)
class Step:
    """One step: the page that it is on, and what there is to see and to try."""

    page: str
    text: str


STEPS = (
    Step("Run", "Some labels of this sample are wrong, on purpose. The result says how many look wrong, and where."),
    Step("Explore", "Each point is a sample. Drag the line of the histogram: what lies right of it is flagged."),
    Step("Review", "The most suspicious first. Enter takes the suggestion, K keeps the label, Z undoes."),
    Step("Compare", "Retrain shows whether leaving out the flagged helps more than leaving out as many at random."),
    Step("Export", "The fixed data set comes out in the format that it came in, with what you decided."),
)


def draw(current: Session, page: str) -> None:
    """Draw the step of this page for an open sample, or the invitation to begin; nothing once it was ended."""
    number = next((i for i, step in enumerate(STEPS) if step.page == page), None)
    if number is None or _has_ended(current):
        return
    if current.run is not None:
        if is_sample(current.run) and (current.run / "scores.parquet").is_file():
            _step(current, number)
    elif page == STEPS[0].page:
        _invitation(current)


def _invitation(current: Session) -> None:
    run = next((path for path in reversed(current.settings.runs()) if is_sample(path)), None)
    if run is None:
        return
    with st.container(border=True, key="tour", horizontal=True, vertical_alignment="center"):
        messages.prose("New here? The tour shows the five pages on a sample, in about three minutes.")
        if st.button("Take the tour", key="tour-begin", type="primary"):
            current.open(run)
            st.rerun()
        _end(current, "No, thanks")


def _step(current: Session, number: int) -> None:
    with st.container(border=True, key="tour", horizontal=True, vertical_alignment="center"):
        messages.prose(f"Tour, {number + 1} of {len(STEPS)}. {STEPS[number].text}")
        if number and st.button("Back", key="tour-back"):
            current.go(STEPS[number - 1].page)
        if number + 1 < len(STEPS):
            following = STEPS[number + 1].page
            if st.button(f"Next: {following}", key="tour-next", type="primary"):
                current.go(following)
        _end(current, "End the tour")


def _end(current: Session, words: str) -> None:
    if st.button(words, key="tour-end", type="tertiary"):
        _remember(current)
        st.rerun()


def begin_again(current: Session) -> None:
    """Show the tour again to this person."""
    path = current.settings.folder / _FILE
    names = [name for name in _names(path) if name != current.reviewer]
    write_whole(path, lambda temporary: temporary.write_text(json.dumps({"ended": names}), encoding="utf-8"))


def _remember(current: Session) -> None:
    path = current.settings.folder / _FILE
    names = sorted({*_names(path), current.reviewer})
    write_whole(path, lambda temporary: temporary.write_text(json.dumps({"ended": names}), encoding="utf-8"))


def _has_ended(current: Session) -> bool:
    return current.reviewer in _names(current.settings.folder / _FILE)


def _names(path: Path) -> list[str]:
    """Who ended the tour, by what is on the disk; nobody where that cannot be read."""
    try:
        names = (read_object(path, "") or {}).get("ended", [])
    except OgaError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
