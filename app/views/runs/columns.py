"""Which columns of a table hold what: controls over all of its columns."""

from __future__ import annotations

from typing import Any

import streamlit as st

from oga_app import state
from oga_core.previews.roles import FileContent

_ROLES = ("label", "id", "text")


def choose_columns(table: FileContent, modality: str | None) -> dict[str, Any]:
    """Draw a choice for each role among all columns; return those that a person made, as options of a run.

    modality: what the data are to be read as, None where their columns say it.
    """
    if not table.columns:
        return {}
    options: dict[str, Any] = {}
    needs_label = modality != "causal_lm" and not (modality is None and table.is_language)
    for place, role in zip(st.columns(len(_ROLES)), _roles(table, modality), strict=False):
        state.choose_among(f"column-{role}", table.columns)
        named = table.recognised.get(role)
        without = "choose one" if role == "label" and needs_label else "none"
        column = place.selectbox(
            f"{role.capitalize()} column",
            table.columns,
            index=None,
            placeholder=f"{named} (by its name)" if named else without,
            key=f"column-{role}",
        )
        if column is not None:
            options[f"{role}_column"] = column
    return options


def _roles(table: FileContent, modality: str | None) -> tuple[str, ...]:
    """Preference pairs have their answers in place of a label and a text."""
    are_pairs = table.are_pairs and modality in (None, "preference")
    return ("id",) if are_pairs else _ROLES
