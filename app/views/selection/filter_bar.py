"""The filter that holds on every page of a run: chips to remove, fields to choose, and views kept by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from oga_app import state
from oga_app.elements import hints, messages
from oga_app.views.header import Opened
from oga_app.views.selection.saved import views
from oga_core.review.decisions import actions_of
from oga_core.review.filters import PREDICTIONS, SIDES, UNDECIDED, Filters
from oga_core.runs.words import LABEL

T = TypeVar("T")
_STEPS = 200  # of a range: finer than the pointer
_MOST_DIGITS = 12  # behind the point: no more tell two numbers apart at a glance
_METADATA_SHOWN = 8  # columns: more would be a list to search, not fields to see


def filter_bar(view: Opened, before: Callable[[], T]) -> T:
    """Draw the bar; `before` stands first in the row, and what it returns is returned."""
    current = view.session
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        result = before()
        # Before the chips: what comes and goes must not move the popover, or it would close.
        with st.popover("Filter", icon=":material/filter_list:", key="filter-popover"):
            _fields(view)
        with st.popover("Views", icon=":material/bookmark:"):
            views(view)
        hints.hint("Explore", "Filter")
        for name, words in current.filters.chips():
            if st.button(messages.plain(words), key=f"chip-{name}", icon=":material/close:", help="Remove this filter"):
                current.drop_filter(name)
                st.rerun()
        if sum(1 for _ in current.filters.chips()) > 1 and st.button("Clear all", key="chip-all", type="tertiary"):
            current.drop_filter()
            st.rerun()
        if current.filters:
            messages.guarded(_counts)(view)
    return result


def _counts(view: Opened) -> None:
    selection = view.selection
    counts = f"{len(selection):,} of {len(view.data):,} samples"
    if len(selection):
        counts += f" · {len(selection.flagged):,} flagged ({messages.percent(selection.share_flagged)})"
    messages.quiet(counts)


def _fields(view: Opened) -> None:
    data = view.data
    filters = view.session.filters
    _choice(view, "given", "Given label", data.classes)
    _choice(view, "predicted", "Predicted label", data.classes)
    _choice(view, "prediction", "Prediction", PREDICTIONS if data.classes else ())
    _choice(view, "finding", "Finding", data.finding_names)
    _choice(view, "decision", "Decision", (UNDECIDED, *actions_of(data.classes, data.modality, data.target)))
    _choice(view, "reviewer", "Decided by", tuple(view.board.store.reviewers()))
    _choice(view, "side", "Threshold", SIDES)
    _words(view, "content", "What the sample holds")
    _words(view, "text", "Part of the sample's id")
    if groups := data.metadata:
        for column in groups.names[:_METADATA_SHOWN]:
            value = dict(filters.metadata or ()).get(column)
            named = partial(filters.with_metadata, column)
            _field(view, f"metadata-{column}", messages.plain(column), groups.distinct(column), value, named)
    _ranges(view)


def _choice(view: Opened, name: str, label: str, options: Sequence[str]) -> None:
    filters = view.session.filters
    _field(view, name, label, options, getattr(filters, name), lambda value: replace(filters, **{name: value}))


def _field(
    view: Opened,
    name: str,
    label: str,
    options: Sequence[str],
    value: str | None,
    changed: Callable[[Any], Filters],
) -> None:
    """A field to choose one of `options` in; what was chosen elsewhere shows in it."""
    if not options:
        return
    key = f"filter-{name}"
    state.choose(key, value if value in options else None)
    st.selectbox(
        label,
        options,
        index=None,
        placeholder="any",
        key=key,
        on_change=lambda: view.session.set_filters(changed(state.value_of(key))),
    )


def _words(view: Opened, name: str, label: str) -> None:
    filters = view.session.filters
    key = f"filter-{name}"
    state.choose(key, getattr(filters, name) or "")
    st.text_input(
        label,
        key=key,
        on_change=lambda: view.session.set_filters(replace(filters, **{name: state.value_of(key).strip() or None})),
    )


def _ranges(view: Opened) -> None:
    data = view.data
    filters = view.session.filters
    if data.target == "number" and data.given_values.min() < data.given_values.max():
        widest = float(data.given_values.min()), float(data.given_values.max())
        _range(view, "value_range", "Given value", widest, filters.value_range or widest, lambda ends: ends)
    if data.wrong_probability is not None:
        now = filters.probability_range or (0.0, 1.0)
        _range(
            view,
            "probability_range",
            f"Probability that the {LABEL[data.target]} is wrong",
            (0.0, 1.0),
            now,
            lambda ends: ends,
        )
        if view.score == data.default_score:
            return  # what it ranks by; its own values are log odds, which say nothing more
    ends = data.ranked(view.score).ends
    if ends and ends[0] < ends[1]:
        interval = filters.score_range
        now = interval[1:] if interval and interval[0] == view.score else ends
        label = f"Score: {view.score.replace('_', ' ')}"
        _range(view, "score_range", label, ends, now, lambda ends: (view.score, *ends))


def _range(
    view: Opened,
    name: str,
    label: str,
    ends: tuple[float, float],
    now: tuple[float, ...],
    named: Callable[[tuple[float, float]], Any],
) -> None:
    """A field with two handles; both at their ends restrict nothing."""
    filters = view.session.filters
    key = f"filter-{name}"
    state.choose(key, (max(now[0], ends[0]), min(now[1], ends[1])))

    def change() -> None:
        interval = state.value_of(key)
        view.session.set_filters(replace(filters, **{name: None if interval == ends else named(interval)}))

    step = (ends[1] - ends[0]) / _STEPS
    written = "percent" if name == "probability_range" else f"%.{_digits(step)}f"
    st.slider(messages.plain(label), *ends, step=step, format=written, key=key, on_change=change)


def _digits(step: float) -> int:
    """How many behind the point tell a number from the next step."""
    return min(max(math.ceil(-math.log10(step)), 0), _MOST_DIGITS)
