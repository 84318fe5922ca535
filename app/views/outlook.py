"""What to expect at the threshold, in figures and plain words."""

from __future__ import annotations

import streamlit as st

from oga_app import cache, messages
from oga_app.frame import Opened
from oga_core.expectation import Interval

_PRECISIONS = (0.9, 0.75, 0.5, 0.25)
_EVERY = 5


def expected(view: Opened) -> None:
    """Expected precision and misses at the threshold, with 90 % intervals, and thresholds that keep a precision."""
    expectation = cache.expectation(view.data, view.board, view.score)
    at = expectation.at(view.flagged / len(view.data))
    left, right = st.columns(2)
    with left:
        messages.figure(
            "Expected to be bad, of the flagged", f"{at.precision.estimate:.0%}", _range(at.precision, percent=True)
        )
    with right:
        messages.figure("Bad ones below the threshold", f"{at.missed.estimate:,.0f}", _range(at.missed, percent=False))
    reviewed = len(expectation.reviewed)
    basis = (
        f"From {reviewed:,} verdicts"
        if reviewed
        else f"Before any verdict, from a noise rate of {view.data.noise_rate:.0%}"
    )
    messages.quiet(f"{basis}; in brackets, 90 % intervals.")
    chosen = st.selectbox(
        "Flag as many as keep this expected precision",
        _PRECISIONS,
        index=None,
        placeholder="choose a precision",
        format_func=lambda value: f"at least {value:.0%}",
        key=f"precision-{view.flagged}",
    )
    if chosen is not None:
        view.session.set_flagged(round(expectation.suggest(chosen) * len(view.data)))
        st.rerun()


def progress(view: Opened) -> None:
    """The stop rule in plain words."""
    messages.quiet(cache.expectation(view.data, view.board, view.score, every=_EVERY).progress().sentence())


def _range(interval: Interval, *, percent: bool) -> str:
    if percent:
        return f"({interval.low:.0%} to {interval.high:.0%})"
    return f"({interval.low:,.0f} to {interval.high:,.0f})"
