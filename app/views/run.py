"""Run: open a run, or score a data set with a model and watch it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from oga_app import cache, state
from oga_app.background import jobs
from oga_app.background.progress import duration
from oga_app.elements import messages
from oga_app.state import Session
from oga_app.views.new_run import new_run
from oga_core.errors import OgaError
from oga_core.runs.folder import RunFolder
from oga_core.runs.info import RunInfo
from oga_core.worker.inspection import jail_here

_MODALITIES = {
    "image": "images",
    "text": "texts",
    "tabular": "table rows",
    "causal_lm": "language-model rows",
    "outputs": "outputs",
}


def show() -> None:
    """Draw the page."""
    current = state.session()
    messages.title("Run", "Score a data set with the model that was trained on it, then look at what stands out.")
    messages.guarded(_holes)(current)
    if current.run is not None:
        _open_run()
    runs = current.settings.runs()
    left, right = st.columns([3, 2], gap="large")
    with left, st.expander("Score a data set", expanded=not _scored(current), icon=":material/add:"):
        messages.guarded(new_run)(current)
    with right:
        _recent(current, runs)


def _holes(current: Session) -> None:
    """What the jail of this machine lacks, before anybody has something read in it."""
    for sentence in [current.settings.closed] if current.settings.closed else jail_here()["missing"]:
        messages.note(sentence)


@st.fragment(run_every=1.0)
@messages.guarded
def _watch(path: Path) -> None:
    job = jobs.status(path)
    if job.state != "running":
        st.rerun()
    left = f" · about {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
    memory = f" · about {job.memory_mb:,.0f} MB of memory" if job.memory_mb else ""
    st.progress(job.share or 0.0, text=messages.plain(f"{job.stage.capitalize()}{left}{memory}"))
    if (path / "scores.parquet").is_file():
        messages.note("The scores are ready. You can look at them and review while the map is being made.")
    if st.button("Cancel", key="cancel-run"):
        jobs.cancel(path)
        messages.quiet("Stopping. What was computed is kept.")


@messages.guarded
def _open_run() -> None:
    current = state.session()
    assert current.run is not None
    job = jobs.status(current.run)
    with st.container(border=True):
        messages.section(current.run.name)
        if job.state == "running":
            _watch(current.run)
        elif job.state in ("failed", "lost", "cancelled"):
            words = {"failed": "Scoring failed", "lost": "Scoring stopped", "cancelled": "Scoring was cancelled"}
            messages.problem(f"{words[job.state]}. {job.error}".strip())
            _continue(current)
        if (current.run / "scores.parquet").is_file():
            _summary(current.run)
            with st.container(horizontal=True):
                if st.button("Explore", type="primary", icon=":material/scatter_plot:", key="go-explore"):
                    current.go("Explore")
                if st.button("Review", icon=":material/rate_review:", key="go-review"):
                    current.go("Review")


def _continue(current: Session) -> None:
    assert current.run is not None
    if not st.button("Continue this run", icon=":material/play_arrow:", key="continue-run"):
        return
    info = RunFolder.open(current.run).info
    data, model = info.data.path, info.model.path
    if not data:
        raise OgaError("This run does not say which data it scores. Start it again below.")
    from oga_core.pipeline.options import ScoreOptions

    lists = ("scores", "checkpoints")
    kept: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in info.options.items()}
    current.settings.require_jail()
    jobs.start(Path(data), Path(model) if model else None, current.run, ScoreOptions(**kept))
    st.rerun()


def _summary(path: Path) -> None:
    data = cache.run_data(path)
    info = data.info
    accuracy, coverage = info.model_accuracy_on_given_labels, info.gradient_coverage
    seconds, peak = info.seconds.get("total"), info.peak_rss_mb
    error = info.gradient_check_error
    messages.figures(
        messages.Figure("Samples", f"{len(data):,}", _MODALITIES.get(data.modality, data.modality)),
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
    for warning in info.warnings:
        messages.note(str(warning))
    if info.trained_input is not None:
        messages.note(" ".join(info.trained_input.sentences()))
    _checks(info)
    problems = info.problems
    if problems:
        messages.note(f"{len(problems):,} sample(s) could not be read and are not in the run.")
        st.dataframe(pd.DataFrame(problems), hide_index=True, height=200)


def _checks(info: RunInfo) -> None:
    checks = list(info.checks)
    notes = list(info.notes)
    if not checks and not notes:
        return
    passed = sum(check.get("level") == "ok" for check in checks)
    with st.expander(f"Checks: {passed} of {len(checks)} passed"):
        table = pd.DataFrame(
            {
                "Check": [str(check.get("name", "")).replace("_", " ") for check in checks],
                "Result": [str(check.get("level", "")) for check in checks],
                "What it found": [str(check.get("message", "")) for check in checks],
            }
        )
        st.dataframe(table, hide_index=True)
        for text in notes:
            messages.quiet(text)


def _scored(current: Session) -> bool:
    return current.run is not None and jobs.status(current.run).state in ("running", "done")


def _recent(current: Session, runs: list[Path]) -> None:
    messages.section("Runs", f"In {current.settings.folder}")
    if not runs:
        messages.empty("No runs yet.\nScore your own data on the left, or start with the samples: oga demo")
    for path in runs[:30]:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                messages.prose(path.name)
                messages.quiet(_about(path))
            shown = path == current.run
            if st.button("Open", key=f"open-{path.name}", disabled=shown, help="This run is open" if shown else None):
                current.open(path)
                st.rerun()
    if current.settings.data_root is None and current.settings.accounts is None:
        typed = st.text_input(
            "Open a run folder elsewhere on this machine", placeholder="/path/to/run", key="open-path"
        )
        if typed and st.button("Open this folder", key="open-typed"):
            path = current.settings.confined(typed)
            current.open(RunFolder.open(path).path)
            st.rerun()


def _about(path: Path) -> str:
    try:
        info = RunFolder(path).info
    except OgaError:
        return "run.json is damaged"
    when = datetime.fromtimestamp((path / "run.json").stat().st_mtime).strftime("%d %b %Y, %H:%M")
    parts = [info.status]
    if info.n_samples:
        parts.append(f"{info.n_samples:,} {_MODALITIES.get(info.modality, 'samples')}")
    return " · ".join([*parts, when])
