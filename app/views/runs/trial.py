"""A trial before the start: the model on a few samples of the data, with the time and memory that all would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from oga_app import cache, state
from oga_app.background.progress import between, gigabytes
from oga_app.elements import messages
from oga_core.pipeline.options import ScoreOptions


def trial(data: Path, model: Path, card: str | None, options: dict[str, Any]) -> None:
    """Draw the button, and once it was pressed for these files what the trial found."""
    files = f"{data}\n{model}"
    if st.button("Try it on a few samples", icon=":material/speed:", key="try-some"):
        state.remember("tried", files)
    if state.memory("tried", "") != files:
        messages.quiet("A trial says how long it takes, how much memory, and whether the classes are in order.")
        return
    from oga_core.pipeline.request import PassRequest

    request = PassRequest.of(data, model, data.parent, ScoreOptions(**options))
    result = cache.tried(replace(request, model_card=card) if card else request)
    if "error" in result:
        messages.problem(result["error"])
    else:
        _figures(result, ScoreOptions(**options))


def _figures(trial: dict[str, Any], options: ScoreOptions) -> None:
    from oga_core.costs.measured import Measured
    from oga_core.costs.plan import plan

    whole = plan(Measured.from_json(trial), options)
    gradients = next(stage for stage in whole.stages if stage.name == "gradients")
    messages.figures(
        messages.Figure("Time", between(*whole.seconds), f"gradients {between(*gradients.seconds)}"),
        messages.Figure("Memory", gigabytes(*whole.memory_mb), f"disk {gigabytes(whole.disk_mb, whole.disk_mb)}"),
        messages.Figure("Device", whole.device, f"tried on {trial['n_tried']:,} samples"),
    )
    for note in (*whole.notes, *trial["notes"]):
        messages.quiet(note)
    for check in trial["checks"]:
        if check["level"] == "failure":
            messages.problem(check["message"])
        elif check["level"] == "warning" or check["name"] == "label_order":
            messages.note(check["message"])
