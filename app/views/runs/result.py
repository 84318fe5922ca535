"""The result of a finished run: in words, with what to do next, and how it was computed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from oga_app import cache, state
from oga_app.background.progress import duration
from oga_app.elements import messages
from oga_app.elements.wording import page_words
from oga_app.views import header
from oga_app.views.selection.act import act, done
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun
from oga_core.runs.words import result_in_words

MODALITIES = {
    "image": "images",
    "text": "texts",
    "tabular": "table rows",
    "causal_lm": "language-model rows",
    "preference": "preference pairs",
    "outputs": "outputs",
}


def result(path: Path) -> None:
    """The result in words first, then what to do, then how it was computed."""
    data = cache.run_data(path)
    current = state.session()
    for sentence in result_in_words(data, current.score_of(data), current.flagged_of(data)):
        messages.prose(sentence)
    _carried(data.info)
    for warning in data.info.warnings:
        messages.note(str(warning))
    if data.info.trained_input is not None:
        messages.note(" ".join(data.info.trained_input.sentences()))
    if data.info.problems:
        messages.note(f"{len(data.info.problems):,} sample(s) are not in the run, for the reasons below.")
    _next_steps(data)
    with st.expander("How this was computed"):
        _method(data)


def _next_steps(data: ScoredRun) -> None:
    current = state.session()
    flagged = current.flagged_of(data)
    view = header.opened()
    with st.container(horizontal=True):
        words = f"Review these {flagged:,}" if flagged else "Review the most suspicious"
        if st.button(words, type="primary", icon=":material/rate_review:", key="go-review"):
            current.go("Review")
        if st.button("Explore", icon=":material/scatter_plot:", key="go-explore"):
            current.go("Explore")
        if view is not None and flagged:
            act(view)
    if view is not None:
        done(view)


def _method(data: ScoredRun) -> None:
    info = data.info
    accuracy = info.model_accuracy_on_given_labels
    coverage = info.gradient_coverage
    seconds = info.seconds.get("total")
    peak = info.peak_rss_mb
    error = info.gradient_check_error
    messages.figures(
        messages.Figure("Samples", f"{len(data):,}", MODALITIES.get(data.modality, data.modality)),
        messages.Figure("Accuracy on given labels", "–" if accuracy is None else messages.percent(accuracy)),
        messages.Figure(
            "Time", "–" if seconds is None else duration(seconds), f"{peak:,.0f} MB of memory" if peak else ""
        ),
        messages.Figure(
            "Gradient covered",
            "–" if coverage is None else messages.percent(coverage, 0),
            "" if error is None else f"largest error {error:.1e}" if error else "no error found",
        ),
    )
    _checks(info)
    if info.problems:
        messages.section("Samples that could not be read")
        st.dataframe(pd.DataFrame(info.problems), hide_index=True, height=200)


def _carried(info: RunInfo) -> None:
    """What became of the decisions of the run it was started from."""
    if not info.previous:
        return
    counts = info.carried
    stale = counts.get("stale", {})
    along = messages.counted(counts.get("carried", 0), "decision", "decisions")
    about = f"From {Path(info.previous).name}: {along} carried over"
    about += f", {counts.get('applied', 0):,} of the earlier ones done in the data"
    reasons = ", ".join(f"{count:,} because {reason}" for reason, count in stale.items())
    messages.note(f"{about}. Not carried over: {reasons}." if reasons else f"{about}.")


def _checks(info: RunInfo) -> None:
    checks = list(info.checks)
    notes = list(info.notes)
    if not checks and not notes:
        return
    passed = sum(check.get("level") == "ok" for check in checks)
    messages.section(f"Checks: {passed} of {len(checks)} passed")
    table = pd.DataFrame(
        {
            "Check": [str(check.get("name", "")).replace("_", " ") for check in checks],
            "Result": [str(check.get("level", "")) for check in checks],
            "What it found": [page_words(str(check.get("message", ""))) for check in checks],
        }
    )
    st.dataframe(table, hide_index=True)
    for text in notes:
        messages.quiet(page_words(text))
