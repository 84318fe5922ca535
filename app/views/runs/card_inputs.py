"""The fields of a model card that say what the model's inputs are made of."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from oga_core.errors import OgaError

_NAMED = re.compile(r"([^\W\d]\w*)\s*:\s*(.+)")
"""A line of an input and its columns: what a model calls its inputs are Python names."""


def table_inputs() -> dict[str, Any]:
    """Draw what the inputs are made of by the columns of a table; return the card's input. Raises `OgaError`."""
    text = st.text_area(
        "Features, one a line, in the order the model takes them",
        placeholder="or a line for each of several inputs, such as\nx_num: age, income\nx_cat: job, town",
        key="card-features",
    )
    return {"features": _features(lines(text)), **_categories(), **_scales("", "card")}


def image_inputs() -> dict[str, Any]:
    """Draw size, channels and scale of images, and columns beside them; return the card's input. Raises `OgaError`."""
    height, width, channels = st.columns(3)
    size = [
        int(column.number_input(label, 1, 4096, 32, key=f"card-{label}"))
        for column, label in ((height, "Height"), (width, "Width"))
    ]
    count = int(channels.selectbox("Channels", [3, 1], key="card-channels"))
    inputs: dict[str, Any] = {"image_size": size, "channels": count}
    for name, values in (scales := _scales("", "card")).items():
        if len(values) != count:
            raise OgaError(f"{name} has {len(values)} numbers for {count} channel(s). Give one number a channel.")
    return inputs | scales | _beside()


def _beside() -> dict[str, Any]:
    """The inputs of a model that reads columns beside the image; nothing where it reads none."""
    text = st.text_area(
        "Inputs beside the image, a line each", placeholder="none, or such as\nmeta: age, sex", key="card-beside"
    )
    if not lines(text):
        return {}
    features = _features(lines(text))
    if not isinstance(features, dict):
        raise OgaError(
            f"The line {lines(text)[0]!r} names no input. Write its name, a colon and its columns: meta: age, sex"
        )
    image = st.text_input("Input that takes the image", "image", key="card-image").strip()
    return {
        "image": image,
        "columns": {"features": features, **_categories(), **_scales(" of the columns", "card-beside")},
    }


def _features(written: list[str]) -> list[str] | dict[str, list[str]]:
    """The columns in their order, or those of each input where every line names one."""
    named = [_NAMED.fullmatch(line) for line in written]
    if not written or not all(named):
        return written
    return {match[1]: _parts(match[2]) for match in named if match}


def _categories() -> dict[str, Any]:
    """The values of each column that is no number, in the order of the model."""
    text = st.text_area(
        "Columns of categories, a line each with their values in the model's order",
        placeholder="none, or such as\nsex: f, m",
        key="card-categories",
    )
    split = [line.partition(":") for line in lines(text)]
    if bare := [column for column, _, values in split if not values.strip()]:
        raise OgaError(f"The column {bare[0]!r} has no categories. Write its values after a colon: {bare[0]}: f, m")
    return {"categories": {column.strip(): _parts(values) for column, _, values in split}} if split else {}


def _scales(what: str, key: str) -> dict[str, list[float]]:
    """Means and standard deviations that were written; a field left empty stands for 0 and 1."""
    written = {name: _numbers(f"{name.capitalize()}{what}", f"{key}-{name}") for name in ("mean", "std")}
    return {name: values for name, values in written.items() if values}


def _numbers(name: str, key: str) -> list[float]:
    text = st.text_input(f"{name}, separated by commas", key=key)
    try:
        return [float(part) for part in re.split(r"[,\s]+", text.strip()) if part]
    except ValueError:
        raise OgaError(f"{name} is {text!r}. Give numbers separated by commas, for example 0.49, 0.48, 0.45.") from None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def lines(text: str) -> list[str]:
    """The lines of a field that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]
