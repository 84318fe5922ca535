"""Run: open a run, or score a data set with a model and watch it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from oga_app import state
from oga_app.background import jobs
from oga_app.background.progress import duration
from oga_app.background.samples import SAMPLES
from oga_app.elements import hints, messages
from oga_app.state import Session
from oga_app.views.guide import page_title
from oga_app.views.runs import again
from oga_app.views.runs.new_run import new_run
from oga_app.views.runs.result import MODALITIES, result
from oga_core.errors import OgaError
from oga_core.runs.folder import RunFolder
from oga_core.worker.inspection import jail_here


def show() -> None:
    """Draw the page."""
    current = state.session()
    page_title("Run", "Score a data set with the model that was trained on it, then look at what stands out.")
    messages.guarded(_holes)(current)
    if current.run is not None:
        _open_run()
    runs = current.settings.runs()
    left, right = st.columns([3, 2], gap="large")
    begun = state.memory("begun-from", (None, False))[0] is not None
    with left:
        if current.run is None:
            hints.section("Run", "Your files", "What would you like to clean?")
            messages.guarded(new_run)(current)
        else:
            title = "The next run" if begun else "Score another data set"
            with st.expander(title, expanded=begun, icon=":material/add:"):
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
        hints.section("Run", "Result", current.run.name)
        if job.state == "running":
            _watch(current.run)
        elif job.state in ("failed", "lost", "cancelled"):
            words = {"failed": "Scoring failed", "lost": "Scoring stopped", "cancelled": "Scoring was cancelled"}
            messages.problem(f"{words[job.state]}. {job.error}".strip())
            _continue(current)
        if (current.run / "scores.parquet").is_file():
            result(current.run)
        again.manage(current)


def _continue(current: Session) -> None:
    assert current.run is not None
    if not st.button("Continue this run", icon=":material/play_arrow:", key="continue-run"):
        return
    info = RunFolder.open(current.run).info
    data = info.data.path
    model = info.model.path
    if not data:
        raise OgaError("This run does not say which data it scores. Start it again below.")
    from oga_core.pipeline.options import ScoreOptions

    current.settings.require_jail()
    previous = Path(info.previous) if info.previous else None
    options = ScoreOptions.from_json(info.options)
    jobs.start(Path(data), Path(model) if model else None, current.run, options, previous=previous)
    st.rerun()


def _recent(current: Session, runs: list[Path]) -> None:
    hints.section("Run", "Runs", about=f"In {current.settings.folder}")
    if not runs:
        messages.empty("No runs yet.\nBegin with your own files, or try it with one of the samples.")
        _samples(current)
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


def _samples(current: Session) -> None:
    """One button for each sample data set, which scores and opens it."""
    with st.container(horizontal=True):
        for sample in SAMPLES:
            if st.button(f"Try {sample.name}", key=f"try-{sample.data}", icon=":material/science:"):
                data, model = sample.paths
                jobs.start(data, model, current.settings.folder / sample.name, sample.options)
                current.open(current.settings.folder / sample.name)
                st.rerun()


def _about(path: Path) -> str:
    try:
        info = RunFolder(path).info
    except OgaError:
        return "run.json is damaged"
    when = datetime.fromtimestamp((path / "run.json").stat().st_mtime).strftime("%d %b %Y, %H:%M")
    noise = info.noise_rate if info.status == "done" else None
    parts = [f"{messages.percent(noise.rate, 0)} look wrong" if noise else info.status]
    if info.n_samples:
        parts.append(f"{info.n_samples:,} {MODALITIES.get(info.modality, 'samples')}")
    return " · ".join([*parts, when])
