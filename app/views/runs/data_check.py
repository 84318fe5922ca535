"""What the data of a new run hold, read before the start; and what stands in the way of scoring them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from oga_app import cache
from oga_app.elements import messages
from oga_core.models.card import ModelCard

_CLASSES_NAMED = 12


def data_check(data: Path, options: dict[str, Any], card: ModelCard | None) -> bool:
    """Draw what was read of the data, or what is wrong with them; whether they can be scored.

    card: the model's, where it is known: its classes are compared with the labels.
    """
    seen = cache.looked(data, options, card.classes if card else ())
    if seen.get("late"):
        messages.note(f"The data were not read within a short look: {seen['late']} They can be scored all the same.")
        return True
    if "error" in seen:
        messages.problem(seen["error"])
        return False
    _read(seen)
    if seen["n_classes"] == 1:
        messages.problem(
            f"Every sample has the label {seen['classes'][0]!r}, so no label can be told from another. "
            "Choose another “Label column”, or give data with two classes or more."
        )
        return False
    return True


def _read(seen: dict[str, Any]) -> None:
    n_samples = int(seen["n_samples"])
    n_classes = int(seen["n_classes"])
    classes = f", {messages.counted(n_classes, 'class', 'classes')}" if n_classes else ""
    megabytes = n_samples * (512 + 2 * n_classes + 512) * 4 / 1e6
    names = ", ".join(seen["classes"][:_CLASSES_NAMED]) + (" …" if n_classes > _CLASSES_NAMED else "")
    messages.note(
        f"{n_samples:,} samples of modality {seen['modality']}{classes}. "
        f"The result arrays take about {max(1, megabytes):,.0f} MB of disk."
    )
    if names:
        messages.quiet(f"Classes: {names}")
    if seen["n_problems"]:
        messages.note(f"{seen['n_problems']:,} row(s) cannot be read; the first: {seen['first_problem']}")
    with st.expander("The first rows"):
        st.dataframe(pd.DataFrame(seen["rows"]), hide_index=True)
