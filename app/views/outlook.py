"""What to expect at the threshold, in figures and plain words."""

from __future__ import annotations

import streamlit as st

from oga_app import cache
from oga_app.elements import messages
from oga_app.elements.messages import Figure, percent
from oga_app.views.header import Opened

_PRECISIONS = (0.9, 0.75, 0.5, 0.25)
_EVERY = 5


def expected(view: Opened) -> None:
    """Expected precision and misses at the threshold, with 90 % intervals, and thresholds that keep a precision."""
    expectation = cache.expectation(view.data, view.board, view.score)
    at = expectation.at(view.flagged / len(view.data))
    precision, missed = at.precision, at.missed
    messages.figures(
        Figure(
            "Bad ones expected among the flagged",
            percent(precision.estimate, 0),
            f"{percent(precision.low, 0)} to {percent(precision.high, 0)}",
        ),
        Figure("Bad ones expected below", f"{missed.estimate:,.0f}", f"{missed.low:,.0f} to {missed.high:,.0f}"),
    )
    basis = f"From {messages.counted(len(expectation.reviewed), 'verdict', 'verdicts')}"
    if not len(expectation.reviewed):
        basis = f"Before any verdict, {_prior(view.data.noise_rate)}"
    messages.quiet(f"{basis}. The ranges hold with 90\u00a0% probability.")
    chosen = st.selectbox(
        "Flag as many as keep this expected precision",
        _PRECISIONS,
        index=None,
        placeholder="choose a precision",
        format_func=lambda value: f"at least {percent(value, 0)}",
        key=f"precision-{view.flagged}",
    )
    if chosen is not None:
        view.session.set_flagged(round(expectation.suggest(chosen) * len(view.data)))
        st.rerun()


def _prior(noise_rate: float | None) -> str:
    if noise_rate is None:
        return "and without an estimate of the noise: review some to learn more"
    return f"from an estimated noise rate of {percent(noise_rate, 0)}"


def progress(view: Opened) -> None:
    """The stop rule in plain words."""
    messages.quiet(cache.expectation(view.data, view.board, view.score, every=_EVERY).progress().sentence())
