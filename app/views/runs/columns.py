"""Which columns of a table hold what: controls over all of its columns."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from oga_app import state
from oga_core.previews.roles import FileContent

_ROLES = ("label", "id", "text")


def choose_columns(table: FileContent, modality: str | None, card: str | None) -> dict[str, Any]:
    """Draw a choice for each role among all columns; return those that are made, as options of a run.

    modality: what the data are to be read as, None where their columns say it. card: JSON of the model's, where it is
    known: the one column that the model does not read holds the labels.
    """
    left = _left_over(table, card)
    roles = _roles(table, modality) if table.columns else ()
    options: dict[str, Any] = {}
    for place, role in zip(st.columns(len(_ROLES)), roles, strict=False):
        state.choose_among(f"column-{role}", table.columns)
        column = place.selectbox(
            f"{role.capitalize()} column",
            table.columns,
            index=table.columns.index(left) if left and role == "label" else None,
            placeholder=_otherwise(table, role, modality),
            key=f"column-{role}",
        )
        if column is not None:
            options[f"{role}_column"] = column
    return options


def _left_over(table: FileContent, card: str | None) -> str | None:
    """The one column that is neither the id nor read by the model, where its card names what it reads."""
    try:
        read = set(json.loads(card or "{}")["input"]["features"])
    except (ValueError, LookupError, TypeError):
        return None
    rest = [name for name in table.columns if name not in read and name != table.recognised.get("id")]
    return rest[0] if len(rest) == 1 and "label" not in table.recognised else None


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
