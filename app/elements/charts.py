"""Plotly figures and coloured tables. Colours are the theme's; text stays plain."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from oga_app import state
from oga_app.elements import raster
from oga_app.elements.theme import ACCENT, DECISION_COLOURS, GREY
from oga_core.numerics import evenly_spaced
from oga_core.review.decisions import ACTIONS
from oga_core.review.selection import Selection

_MAX_POINTS = 10_000
_BINS = 60
_MAX_NUMBERS = 16
_MOST_PAIRS = 200  # rows of a table: farther down stand pairs of one or two samples


def quiet(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """Give a figure the dashboard's look."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.08, "x": 0},
        hoverlabel={"align": "left"},
        **layout,
    )
    figure.update_xaxes(gridcolor="rgba(140,134,124,.22)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(140,134,124,.22)", zeroline=False, automargin=True)
    return figure


def raster_map(selection: Selection) -> go.Figure:
    """The map where WebGL2 is missing: the crowd that passes the filter as a picture, its flagged samples on top."""
    data = selection.data
    positions = data.positions
    assert positions is not None
    edges = raster.bounds(positions)
    x0, x1, y0, y1 = edges
    crowd = raster.density_png(positions[selection.chosen], edges)
    address = "data:image/png;base64," + base64.b64encode(crowd).decode()
    rows = evenly_spaced(selection.flagged, _MAX_POINTS)
    figure = go.Figure(
        go.Scattergl(
            x=positions[rows, 0],
            y=positions[rows, 1],
            mode="markers",
            marker={"color": ACCENT, "size": 5, "opacity": 0.75},
            text=[html.escape(str(name)) for name in data.ids[rows]],
            hovertemplate="%{text}<extra></extra>",
            name="flagged",
        )
    )
    figure.add_layout_image(
        source=address, xref="x", yref="y", x=x0, y=y1, sizex=x1 - x0, sizey=y1 - y0, sizing="stretch", layer="below"
    )
    figure.update_xaxes(range=[x0, x1], showticklabels=False, showgrid=False)
    figure.update_yaxes(range=[y0, y1], showticklabels=False, showgrid=False)
    return quiet(figure, 480, dragmode="lasso", uirevision=data.name)


def polygon_of(selection: Any) -> tuple[tuple[float, float], ...] | None:
    """The corners of a box or lasso that Plotly reported."""
    for lasso in selection.get("lasso", ()):
        return tuple(zip(map(float, lasso["x"]), map(float, lasso["y"]), strict=True))[:500]
    for box in selection.get("box", ()):
        x0, x1 = map(float, box["x"])
        y0, y1 = map(float, box["y"])
        return (x0, y0), (x1, y0), (x1, y1), (x0, y1)
    return None


def histogram(
    selection: Selection, codes: NDArray[np.int8], axis: str, wrong: NDArray[np.float64] | None = None
) -> go.Figure:
    """How the score of what passes the filter is distributed, split by decision, with the threshold.

    The edges are those of all samples, so that filters can be compared. axis: what its values mean. wrong: how likely
    each label is wrong, where the score ranks by that, to be shown for it.
    """
    data = selection.data
    score = selection.score
    flagged = selection.threshold
    values = data.score(score) if wrong is None else 100 * wrong
    known = np.isfinite(values)
    low, high = np.quantile(values[known], [0.001, 0.999]) if known.any() else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    width = edges[1] - edges[0]
    known &= selection.chosen
    figure = go.Figure()
    for code, name in [(-1, "undecided"), *enumerate(ACTIONS)]:
        members = known & (codes == code)
        if members.any():
            counts, _ = np.histogram(np.clip(values[members], edges[0], edges[-1]), edges)
            figure.add_bar(
                x=edges[:-1] + width / 2,
                y=counts,
                width=width,
                name=name,
                marker_color=GREY if code < 0 else DECISION_COLOURS[name],
                hovertemplate=f"%{{y:,}} {name}, about %{{x:.3g}}<extra></extra>",
            )
    if flagged:
        cut = float(values[data.order(score)[flagged - 1]])
        figure.add_vline(x=min(max(cut, edges[0]), edges[-1]), line={"color": ACCENT, "width": 2})
    title = axis if wrong is None else f"{axis}, %"
    return quiet(figure, 320, barmode="stack", bargap=0.04, xaxis_title=title, yaxis_title="samples")


def percent(label: str, unit: str = "%.1f %%", colour: str = "gray") -> Any:
    """A table column of bars from 0 to 100; the accent colour stays for what counts flagged samples."""
    return st.column_config.ProgressColumn(label, format=unit, min_value=0, max_value=100, color=colour)


def matrix(counts: NDArray[np.int64], classes: Sequence[str], key: str, on_pair: Callable[[str, str], object]) -> None:
    """Given by predicted label as a table of counts; `on_pair` is called with the labels of a cell that was chosen."""

    def picked() -> None:
        for line, column in state.chosen_in(key).cells:
            on_pair(classes[int(line)], str(column))

    frame = pd.DataFrame(counts, index=list(classes), columns=list(classes))
    st.dataframe(
        frame.style.apply(_shade, axis=None).format("{:,}"),
        on_select=picked,
        selection_mode="single-cell",
        key=key,
        height=min(35 * len(classes) + 38, 720),
    )


def confused_pairs(
    pairs: pd.DataFrame, classes: Sequence[str], key: str, on_pair: Callable[[str, str], object]
) -> None:
    """Pairs of labels that differ, as a table; `on_pair` is called with the pair that was chosen."""
    top = pairs.head(_MOST_PAIRS)
    given = [classes[code] for code in top["given"]]
    predicted = [classes[code] for code in top["predicted"]]

    def picked() -> None:
        for line in state.chosen_in(key).rows:
            on_pair(given[line], predicted[line])

    table = pd.DataFrame(
        {
            "Given label": given,
            "Predicted label": predicted,
            "Samples": top["samples"],
            "Of the given label": top["share"],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        on_select=picked,
        selection_mode="single-row",
        key=key,
        height=min(35 * len(table) + 38, 360),
        column_config={"Of the given label": percent("Of the given label")},
    )


def heat(values: NDArray[np.float64], names: Sequence[str], lowest: float) -> go.Figure:
    """A square of correlations (`lowest` -1) or shares (`lowest` 0), at most 1, with its numbers while they fit."""
    words = [name.replace("_", " ") for name in names]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=words,
            y=words,
            zmin=lowest,
            zmax=1,
            showscale=False,
            texttemplate="%{z:.2f}" if len(names) <= _MAX_NUMBERS else None,
            colorscale=[[0, "#b9701f"], [0.5, "#ece8e1"], [1, "#2f6f9f"]]
            if lowest < 0
            else [[0, "#ece8e1"], [1, "#2f6f9f"]],
            hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return quiet(figure, 90 + (34 if len(names) <= _MAX_NUMBERS else 18) * len(names))


def _shade(frame: pd.DataFrame) -> pd.DataFrame:
    counts = frame.to_numpy(dtype=float)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    styles = np.full(counts.shape, "", dtype=object)
    for line, column in np.argwhere(counts > 0):
        rgb = "140, 134, 124" if line == column else "217, 83, 30"
        styles[line, column] = f"background-color: rgba({rgb}, {0.08 + 0.5 * share[line, column]:.2f})"
    return pd.DataFrame(styles, index=frame.index, columns=frame.columns)
