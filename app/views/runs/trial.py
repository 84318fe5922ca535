"""A trial before the start: the model on a few samples of the data, with the time and memory that all would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from oga_app import cache, state
from oga_app.background.progress import duration
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
        _figures(result)


def _figures(trial: dict[str, Any]) -> None:
    messages.figures(
        messages.Figure("Time of the gradients", f"about {duration(trial['seconds'])}", "scores and map come on top"),
        messages.Figure("Memory", f"{trial['memory_mb']:,.0f} MB", f"with {trial['n_tried']:,} samples"),
        messages.Figure("Device", trial["device"]),
    )
    for check in trial["checks"]:
        if check["level"] == "failure":
            messages.problem(check["message"])
        elif check["level"] == "warning" or check["name"] == "label_order":
            messages.note(check["message"])
