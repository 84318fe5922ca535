"""Classes and clusters as tables, each row of which filters."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from oga_app import state
from oga_app.elements import charts
from oga_app.views.header import Opened


def classes(view: Opened) -> None:
    """Samples and flagged ones of each given label; choosing one restricts all views to it."""
    table = view.selection.class_shares()
    names = [view.data.class_name(code) for code in table["class"]]
    _shares(view, table, names, "given", "Given label")


def clusters(view: Opened) -> None:
    """The same of each named cluster of the map."""
    table = view.selection.cluster_shares()
    names = [view.data.clusters.names[code] for code in table["class"]]
    _shares(view, table, names, "cluster", "Cluster")


def _shares(view: Opened, table: pd.DataFrame, names: list[str], field: str, label: str) -> None:
    key = f"shares-{field}-{view.data.name}-{view.session.removed}"

    def picked() -> None:
        for position in state.chosen_in(key).rows:
            view.session.set_filters(replace(view.session.filters, **{field: names[position]}))

    st.dataframe(
        table.assign(**{"class": names}),
        hide_index=True,
        height=min(35 * len(table) + 38, 320),
        on_select=picked,
        selection_mode="single-row",
        key=key,
        column_config={
            "class": st.column_config.TextColumn(label),
            "samples": st.column_config.NumberColumn("Samples", format="localized"),
            "flagged": st.column_config.NumberColumn("Flagged", format="localized"),
            "share": charts.percent("Share flagged", colour="primary"),
        },
    )
