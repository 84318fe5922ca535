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
    roles = _roles(table, modality) if table.columns else ()
    options: dict[str, Any] = {}
    for place, role in zip(st.columns(len(_ROLES)), roles, strict=False):
        state.choose_among(f"column-{role}", table.columns)
        column = place.selectbox(
            f"{role.capitalize()} column",
            table.columns,
            index=None,
            placeholder=_otherwise(table, role, modality),
            key=f"column-{role}",
        )
        if column is not None:
            options[f"{role}_column"] = column
    return options


def _otherwise(table: FileContent, role: str, modality: str | None) -> str:
    """What is taken where nobody chooses a column."""
    if role in table.recognised:
        return f"{table.recognised[role]} (by its name)"
    is_language = modality == "causal_lm" or (modality is None and table.is_language)
    return "choose one" if role == "label" and not is_language else "none"


def _roles(table: FileContent, modality: str | None) -> tuple[str, ...]:
    """Preference pairs have their answers in place of a label and a text."""
    are_pairs = table.are_pairs and modality in (None, "preference")
    return ("id",) if are_pairs else _ROLES
