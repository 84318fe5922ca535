"""What to expect at the threshold, in figures and plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from oga_app import cache
from oga_app.elements import messages
from oga_app.elements.messages import Figure, percent
from oga_app.views.header import Opened
from oga_core.numerics import span
from oga_core.review.board import LEARN_EVERY
from oga_core.runs.scored import ASSUMED_NOISE_RATE, ScoredRun
from oga_core.runs.words import LABEL, LABELS, PER_CENT

if TYPE_CHECKING:
    from oga_core.threshold.expectation import Expectation, Interval

_PRECISIONS = (0.9, 0.75, 0.5, 0.25)
_PROBABLE = "from how likely each {} is wrong by the run's own evidence"
_TOO_WIDE = 0.6
"""An interval of more than this says nothing that a person could act on."""


def expected(view: Opened) -> None:
    """Expected precision and misses at the threshold, with 90 % intervals, and thresholds that keep a precision."""
    if not len(view.selection):
        return
    expectation = _expectation(view)
    at = expectation.at(view.flagged / len(view.data))
    precision = at.precision
    missed = at.missed
    what = _wrong(view.data).capitalize()
    among = f"{what} expected among the flagged"
    below = f"{what} expected below"
    learnt = len(cache.expectation(view.data, view.board, view.score).reviewed)
    # Of nothing flagged no share is wrong; how sure the other figure is then decides by itself.
    width = precision.width if at.flagged else missed.width / max(len(view.selection), 1)
    is_known = width <= _TOO_WIDE and bool(learnt or _is_estimated(view.data))
    if is_known:
        figures = [_figure(among, precision, 100, PER_CENT), _figure(below, missed)]
        messages.figures(*figures[0 if at.flagged else 1 : 2 if at.flagged < len(view.selection) else 1])
    basis = f"From {messages.counted(learnt, 'verdict', 'verdicts')}"
    if learnt and not _is_estimated(view.data):
        basis += f" and an assumed rate of {percent(ASSUMED_NOISE_RATE, 0)}, as none was estimated"
    if not learnt:
        known = view.data.wrong_probability is not None
        basis = "Before any verdict, " + (
            _PROBABLE.format(LABEL[view.data.target]) if known else _prior(view.data.noise_rate)
        )
    unknown = f"it is not known yet how many of the {'flagged' if at.flagged else 'samples'} are wrong"
    messages.quiet(f"{basis}. {_ranges(learnt)}" if is_known else f"{basis}, {unknown}. Review some to learn more.")
    if not learnt and not _is_estimated(view.data):
        return
    choice = st.selectbox(
        "Flag as many as keep this expected precision",
        _PRECISIONS,
        index=None,
        placeholder="choose a precision",
        format_func=lambda value: f"at least {percent(value, 0)}",
        key=f"precision-{view.flagged}",
    )
    if choice is not None:
        view.session.set_flagged(round(expectation.suggest(choice) * len(view.data)))
        st.rerun()


def _figure(label: str, interval: Interval, times: int = 1, unit: str = "") -> Figure:
    """An estimate with its ends below it, which are left out where they say no more than itself."""
    low, high = times * interval.low, times * interval.high
    ends = span(low, high, unit=unit)
    if round(low) == round(high):
        return Figure(label, ends)
    return Figure(label, f"{times * interval.estimate:,.0f}{unit}", ends)


def _ranges(learnt: int) -> str:
    """What the ranges rest on: before any verdict only on problems whose truth is known."""
    if learnt:
        return "The ranges hold with 90\u00a0% probability."
    return "The ranges were set on simulated problems and can miss; verdicts, also on random controls, replace them."


def _wrong(data: ScoredRun) -> str:
    """What is looked for, in words; a run of a language model has no labels that could be wrong."""
    return f"wrong {LABELS[data.target]}" if data.classes or data.target != "class" else "samples to fix"


def _is_estimated(data: ScoredRun) -> bool:
    """Whether the run itself tells how many are bad, before anyone has looked."""
    return data.noise_rate is not None or data.wrong_probability is not None


def _prior(noise_rate: float | None) -> str:
    if noise_rate is None:
        return "and without an estimate of the noise"
    return f"from an estimated noise rate of {percent(noise_rate, 0)}"


def progress(view: Opened, *, is_done: bool) -> None:
    """The stop rule in plain words, anew after every few decisions and where the queue is done."""
    if _is_estimated(view.data) or view.board.judged.any():
        expectation = _expectation(view, every=1 if is_done else LEARN_EVERY)
        sentence = expectation.progress().sentence(what=_wrong(view.data))
        messages.quiet(sentence)


def _expectation(view: Opened, every: int = 1) -> Expectation:
    """What to expect of the samples that pass the filter, learnt from the verdicts on all."""
    whole = cache.expectation(view.data, view.board, view.score, every=every)
    return whole.within(view.selection.by_rank) if view.session.filters else whole
