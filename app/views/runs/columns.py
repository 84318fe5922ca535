"""Which columns of a table hold what: controls over all of its columns."""

from __future__ import annotations

from typing import Any

import streamlit as st

from oga_app import state
from oga_core.previews.roles import FileContent

_ROLES = ("label", "id", "text")


def choose_columns(table: FileContent) -> dict[str, Any]:
    """Draw a choice for each role among all columns; return those that a person made, as options of a run."""
    if not table.columns:
        return {}
    options: dict[str, Any] = {}
    for place, role in zip(st.columns(len(_ROLES)), _ROLES, strict=True):
        state.choose_among(f"column-{role}", table.columns)
        named = table.recognised.get(role)
        column = place.selectbox(
            f"{role.capitalize()} column",
            table.columns,
            index=None,
            placeholder=f"{named} (by its name)" if named else "choose one" if role == "label" else "none",
            key=f"column-{role}",
        )
        if column is not None:
            options[f"{role}_column"] = column
    return options
