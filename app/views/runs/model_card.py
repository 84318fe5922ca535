"""The fields of a model card, for models that bring none."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from oga_app.elements import messages
from oga_app.views.runs.card_inputs import image_inputs, lines, table_inputs
from oga_core.samples import LOSSES, MODALITIES, OWN


def model_card() -> str | None:
    """Draw the fields; return the card as JSON, None where the model brings its own. Raises `OgaError`."""
    messages.quiet("Needed only where no card comes with the model, or where it is wrong.")
    modality = st.selectbox(
        "Modality of the model", MODALITIES, index=None, placeholder="from the model", key="card-modality"
    )
    if modality is None:
        return None
    classes = st.text_area("Classes, one a line, in the order of the logits", key="card-classes")
    inputs: dict[str, Any] = {}
    if modality == "image":
        inputs = image_inputs()
    elif modality in ("text", "causal_lm", "preference"):
        inputs = {"max_length": int(st.number_input("Longest text in tokens", 1, 100_000, 128, key="card-length"))}
    elif modality == "tabular":
        inputs = table_inputs()
    loss = {} if modality in ("causal_lm", "preference") else {"loss": _loss()}
    return json.dumps({"modality": modality, "classes": lines(classes), "input": inputs, **loss, **_output()})


def _output() -> dict[str, Any]:
    """Which output the loss takes, of a model with several, where a person says so."""
    text = st.text_input(
        "Output, where the model has several", placeholder="its name, or its position counted from 0", key="card-output"
    ).strip()
    return {"output": int(text) if text.isdecimal() else text} if text else {}


def _loss() -> dict[str, Any]:
    """The loss, and of numbers the mean and standard deviation that the model was trained with."""
    offered = [name for name in LOSSES if name != OWN]  # one of one's own comes with its model
    name: str = st.selectbox("Loss", offered, format_func=lambda name: name.replace("_", " "), key="card-loss")
    if LOSSES[name][0] != "number":
        return {"name": name}
    messages.quiet("Where the model was trained on (number - mean) / standard deviation; else 0 and 1.")
    left, right = st.columns(2)
    mean = float(left.number_input("Mean of the numbers", value=0.0, format="%g", key="card-number-mean"))
    std = float(right.number_input("Standard deviation", 0.0, value=1.0, format="%g", key="card-number-std"))
    return {"name": name, "mean": mean, "std": std}
