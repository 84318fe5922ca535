"""What can be seen of samples, for pages that do not wait until the data of millions of them are open."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from oga_app import cache, state
from oga_app.elements import messages
from oga_core.previews.content import Preview
from oga_core.runs.scored import ScoredRun

_OPENING = "The data are being opened. The sample shows here once they are."


def thumbnails(data: ScoredRun, rows: Sequence[int], side: int, wait: bool = False) -> list[Preview]:
    """What can be seen of the samples at `rows`, their images at most `side` pixels wide and high.

    wait: until the data are open, however many samples they have.
    """
    if closed := state.session().settings.closed:
        return [Preview(unreadable=closed)] * len(rows)
    if not wait and not is_open(data):
        return [Preview(unreadable=_OPENING)] * len(rows)
    return cache.reader(data).previews(rows, side)


def is_open(data: ScoredRun) -> bool:
    """Whether samples can be shown without a page waiting for them; few enough are waited for."""
    if state.session().settings.closed or len(data) <= cache.SOON:
        return True
    return cache.reader(data).settles(0)


@st.fragment(run_every=3.0)
@messages.guarded
def wait(data: ScoredRun) -> None:
    """Say that the data are being opened, and draw the page again once they are."""
    if is_open(data):
        st.rerun()
    messages.quiet("The data of these samples are being opened. The Explore page works without them.")
