"""A new run from an earlier one, with its choices in the form; and the earlier one renamed or deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from oga_app import state
from oga_app.background import folders, jobs
from oga_app.elements import messages
from oga_app.state import Session
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from oga_core.previews.roles import Role

_FIELDS = {
    "label_column": "column-label",
    "id_column": "column-id",
    "text_column": "column-text",
    "modality": "modality",
    "map": "option-map",
    "seed": "option-seed",
    "device": "option-device",
    "precision": "option-precision",
    "parameters": "option-params",
    "max_samples": "option-max",
    "batch_size": "option-batch",
    "force": "option-force",
    "trained_on": "option-trained-on",
}
"""The options that have a field of their own in the form, by the field's key."""


def begin_from(run: Path, *, carry: bool) -> None:
    """Fill the form with the choices of a run, before it is drawn; `carry`: take its decisions along.

    Its files stay until others are given in their place.
    """
    info = RunFolder.open(run).info
    options = ScoreOptions.from_json(info.options)
    for name, key in _FIELDS.items():
        state.choose(key, getattr(options, name))
    kept = {"data": info.data.path, "model": info.model.path, "labels": options.labels, "card": options.model_card}
    kept |= {"validation": options.validation, "reference": options.reference}
    state.remember("unasked", {name: getattr(options, name) for name in ("scores", "sketch_dim")})
    state.remember("kept", {role: path for role, path in kept.items() if path and Path(path).exists()})
    state.remember("begun-from", (run, carry))


def kept_files() -> dict[Role, Path]:
    """The files of the earlier run by role, for those of which no others are given."""
    return {role: Path(path) for role, path in state.memory("kept", {}).items()}


def kept_from() -> str:
    """The line that says so."""
    run, _ = state.memory("begun-from", (None, False))
    return f"kept from {run.name}" if run else ""


def previous() -> Path | None:
    """The run whose decisions the new one takes along."""
    run, carry = state.memory("begun-from", (None, False))
    return run if carry else None


def unasked() -> dict[str, Any]:
    """The options of the earlier run that the form has no field for."""
    return dict(state.memory("unasked", {}))


def forget() -> None:
    """Begin the next run from nothing."""
    state.remember("unasked", {})
    state.remember("kept", {})
    state.remember("begun-from", (None, False))


def banner() -> None:
    """Which run the form is filled from, and the way back to an empty one."""
    run, carry = state.memory("begun-from", (None, False))
    if run is None:
        return
    along = " Decisions on samples that are still the same are carried over." if carry else ""
    messages.note(f"Filled in from {run.name}. Change what is different now.{along}")
    if st.button("Begin with an empty form", key="begin-empty", type="tertiary"):
        forget()
        st.rerun()


def manage(current: Session) -> None:
    """Buttons for the open run: again, duplicate; where it is nobody else's too, rename and delete."""
    run = current.run
    assert run is not None
    running = jobs.status(run).state == "running"
    scored = (run / "scores.parquet").is_file()
    with st.container(horizontal=True, vertical_alignment="center"):
        if scored and st.button("Score again after fixing", key="again", icon=":material/replay:", disabled=running):
            begin_from(run, carry=True)
        words = "Duplicate with other options" if scored else "Edit and try again"
        if st.button(words, key="duplicate", icon=":material/edit:", disabled=running):
            begin_from(run, carry=False)
        if current.settings.accounts is None:  # else with it would go what others decided, whoever presses
            with st.popover("Rename or delete", icon=":material/more_horiz:", disabled=running):
                messages.guarded(_rename)(current, run)
                messages.guarded(_delete)(current, run)


def _rename(current: Session, run: Path) -> None:
    name = st.text_input("New name", run.name, max_chars=80, key=f"rename-{run.name}")
    if st.button("Rename", key="rename", disabled=name.strip() == run.name):
        current.open(folders.rename(run, name.strip()))
        st.rerun()


def _delete(current: Session, run: Path) -> None:
    megabytes = folders.size(run) / 1e6
    size = f"{megabytes:,.0f}" if megabytes >= 1 else "less than 1"
    messages.quiet(f"This run takes {size} MB of disk, with its uploads.")
    decided = folders.n_decided(run)
    lost = f" and {messages.counted(decided, 'decision', 'decisions')}" if decided else ""
    if st.button(f"Delete {run.name}{lost}".strip(), key="delete", icon=":material/delete:"):
        folders.delete(run)
        current.close()
        st.rerun()
