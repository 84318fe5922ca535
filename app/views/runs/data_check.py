"""What the data of a new run hold, read before the start; and what stands in the way of scoring them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from oga_app import cache
from oga_app.elements import blocks, hints, messages
from oga_app.views.runs.result import MODALITIES

_MOST_CLASSES = 0.5  # of the samples: beyond that most labels name one sample each, so they are no classes
_FEW_SAMPLES = 20


def data_check(data: Path, options: dict[str, Any], card: str | None) -> bool:
    """Draw what was read of the data, or what is wrong with them; whether they can be scored.

    card: JSON of the model's, where it is known: samples are shown and labels compared as it says.
    """
    seen = cache.looked(data, options, card)
    if seen.get("late"):
        messages.note(f"The data were not read within a short look: {seen['late']} They can be scored all the same.")
        return True
    if "error" in seen:
        messages.problem(seen["error"])
        return False
    _summary(seen)
    _samples(seen, is_prepared=card is not None)
    if seen["classes"]:
        order = "in the order of the model" if seen["is_ordered"] else "in the order of the data"
        messages.section("Classes", f"{order}, each with its number of samples")
        blocks.classes(seen["classes"], n_more=seen["n_known"] - len(seen["classes"]))
    reason = _reason(seen)
    if reason:
        messages.problem(reason)
    return not reason


def _reason(seen: dict[str, Any]) -> str:
    """Why data that could be read cannot be scored; empty where they can."""
    n_samples = seen["n_samples"]
    n_classes = seen["n_classes"]
    if seen["n_known"] and n_classes == 1:
        only = next(name for name, count in seen["classes"] if count)
        return (
            f"Every sample has the label {only!r}, so no label can be told from another. "
            "Choose another “Label column”, or give data with two classes or more."
        )
    if n_samples > _FEW_SAMPLES and n_classes > _MOST_CLASSES * n_samples:
        return (
            f"There are {n_classes:,} different labels for {n_samples:,} samples, so these are no classes. "
            "Choose the column that holds the class as “Label column”. For a model of numbers, its card must "
            "name the loss."
        )
    return ""


def _summary(seen: dict[str, Any]) -> None:
    n_samples = int(seen["n_samples"])
    n_classes = int(seen["n_classes"])
    classes = f", {messages.counted(n_classes, 'class', 'classes')}" if n_classes else ""
    what = MODALITIES.get(seen["modality"], "samples")
    messages.note(f"{n_samples:,} {what}{classes}.")
    if seen["numbers"]:
        low, high = seen["numbers"]
        messages.quiet(f"Labels: numbers from {low} to {high}.")
    if seen["has_tags"]:
        messages.quiet("Words with tags: the classes below are counted in words.")
    if seen["n_masks"]:
        messages.quiet(f"Images with masks: the classes below are counted in {seen['n_masks']:,} masks.")
    for note in seen["notes"]:
        messages.quiet(note)
    if seen["inputs"]:
        messages.quiet(f"The model's inputs are made of: {'; '.join(seen['inputs'])}.")
    if seen["n_problems"]:
        messages.note(f"{seen['n_problems']:,} row(s) cannot be read; the first: {seen['first_problem']}")


def _samples(seen: dict[str, Any], *, is_prepared: bool) -> None:
    """Some samples: pictures side by side, rows of a table as a table, everything else as rows of words."""
    samples = seen["samples"]
    way = "as the model sees them" if is_prepared else "as they are in the data"
    hints.section(
        "Run", "Before the start", messages.counted(len(samples), "sample", "samples"), f"spread over the data, {way}"
    )
    if any(sample["fields"] for sample in samples):
        rows = [{"label": sample["label"], **dict(sample["fields"])} for sample in samples]
        st.dataframe(pd.DataFrame(rows), hide_index=True)
    else:
        blocks.samples(samples)
