"""How the loss of a response rises when the rows that pushed most for it are not learnt."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from oga_app.elements import charts, messages
from oga_app.elements.theme import ACCENT, GREY
from oga_core.ask.methods import TITLES
from oga_core.numerics import span
from oga_core.retrain.comparison import SIGNED

_NAMES = {"bm25": "most words in common", "random": "at random"}
_DASHES = {"bm25": "dash", "random": "dot"}


def show(curve: dict[str, Any]) -> None:
    """A curve for each way of choosing rows, and a table of what the best is ahead by."""
    method = str(curve["method"])
    messages.section(
        "Without the rows that pushed for it",
        "The loss of the response after training without the rows that pushed most for it, less that after training "
        "on all rows, in the same order with the same steps. The higher, the less the model says it.",
    )
    for query in curve.get("queries", ())[:1]:
        messages.prose(str(query.get("text", "")))
    if curve["n_queries"] > 1:
        messages.quiet(f"The mean over {curve['n_queries']} responses.")
    st.plotly_chart(_chart(curve["shares"], method), key="removal")
    _table(curve["shares"], method)


def _table(points: list[dict[str, Any]], method: str) -> None:
    rows = [
        {
            "Rows left out": f"{point['n_removed']:,} ({point['share']:.0%})",
            "Rise": point["rise"][method]["mean"],
            "Over random": _interval(point["over_random"]),
            "Over words": _interval(point["over_bm25"]),
        }
        for point in points
    ]
    rise = st.column_config.NumberColumn(format="%+.3f")
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"Rise": rise})


def _chart(points: list[dict[str, Any]], method: str) -> go.Figure:
    figure = go.Figure([_line(points, name, is_method=name == method) for name in (method, *_NAMES)])
    shares = [100 * point["share"] for point in points]
    figure.update_xaxes(tickvals=shares, ticktext=[f"{share:.0f} %" for share in shares])
    titles = {"xaxis_title": "rows left out", "yaxis_title": "rise of the loss, with 90 % interval"}
    return charts.quiet(figure, 300, showlegend=True, **titles)


def _line(points: list[dict[str, Any]], name: str, *, is_method: bool) -> go.Scatter:
    rises = [point["rise"][name] for point in points]
    means = [rise["mean"] for rise in rises]
    above, below = zip(*map(_margins, rises), strict=True)
    color = ACCENT if is_method else GREY
    return go.Scatter(
        x=[100 * point["share"] for point in points],
        y=means,
        name=_NAMES.get(name, f"by {TITLES.get(name, name)}"),
        mode="lines+markers",
        line={"color": color, "dash": _DASHES.get(name, "solid")},
        error_y={"array": above, "arrayminus": below, "color": color, "thickness": 1},
        hovertemplate="%{x:.0f} %: %{y:+.3f}<extra>%{fullData.name}</extra>",
    )


def _margins(rise: dict[str, Any]) -> tuple[float, float]:
    """How far the interval reaches above and below the mean; nowhere where there is none."""
    low, high = rise["interval_90"] or (rise["mean"], rise["mean"])
    return high - rise["mean"], rise["mean"] - low


def _interval(difference: dict[str, Any]) -> str:
    bounds = difference["interval_90"]
    width = "" if bounds is None else f" ({span(bounds[0], bounds[1], SIGNED)})"
    return f"{difference['mean']:+.3f}{width}, {difference['says']}"
