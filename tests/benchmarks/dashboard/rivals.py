"""What ours is measured beside: the map by Plotly, as points or as a raster, and the keys of Streamlit itself."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from oga_app.elements.raster import bounds, density_png
from oga_core.runs.folder import RunFolder


@st.cache_resource
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Positions and the rank of every sample."""
    table = RunFolder.open(Path(os.environ["BENCHMARK_RUN"])).table
    order = np.argsort(-table["score_loss"].to_numpy())
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return table[["map_x", "map_y"]].to_numpy(dtype=np.float32), rank


@st.cache_resource
def crowd() -> tuple[str, tuple[float, float, float, float]]:
    """The density raster as an address, and its edges."""
    positions = arrays()[0]
    edges = bounds(positions)
    return "data:image/png;base64," + base64.b64encode(density_png(positions, edges)).decode(), edges


def scattergl(count: int) -> go.Figure:
    positions, rank = arrays()
    colors = np.where(rank < count, 1.0, 0.0).astype(np.float32)
    marker = {"color": colors, "colorscale": [[0, "#9a958c"], [1, "#c2410c"]], "size": 3}
    return go.Figure(go.Scattergl(x=positions[:, 0], y=positions[:, 1], mode="markers", marker=marker))


def raster(count: int) -> go.Figure:
    positions, rank = arrays()
    address, (x0, x1, y0, y1) = crowd()
    shown = positions[rank < min(count, 5000)]
    figure = go.Figure(
        go.Scattergl(x=shown[:, 0], y=shown[:, 1], mode="markers", marker={"color": "#c2410c", "size": 4})
    )
    figure.add_layout_image(
        source=address, xref="x", yref="y", x=x0, y=y1, sizex=x1 - x0, sizey=y1 - y0, sizing="stretch", layer="below"
    )
    figure.update_xaxes(range=[x0, x1])
    figure.update_yaxes(range=[y0, y1])
    return figure


@st.fragment
def page() -> None:
    n = len(arrays()[1])
    st.session_state.setdefault("count", n // 20)
    if st.button("Next threshold"):
        st.session_state.count = max(1, (st.session_state.count * 9) // 10)
    figure = {"scattergl": scattergl, "raster": raster}[st.query_params["way"]](st.session_state.count)
    figure.update_layout(height=520, dragmode="select", showlegend=False, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    event = st.plotly_chart(figure, key="plot", on_select="rerun", selection_mode=("box",))
    boxes = event.selection.get("box") or []
    inside = 0
    if boxes:
        positions = arrays()[0]
        (x0, x1), (y0, y1) = (sorted(boxes[0][axis]) for axis in "xy")
        inside = int(
            (
                (positions[:, 0] >= x0) & (positions[:, 0] <= x1) & (positions[:, 1] >= y0) & (positions[:, 1] <= y1)
            ).sum()
        )
    st.text(f"count {st.session_state.count}; inside {inside}")


@st.fragment
def keys() -> None:
    """A button with a key of its own and the number of its presses: the least that Streamlit itself does per press."""
    st.session_state.setdefault("presses", 0)
    if st.button("Keep", shortcut="k"):
        st.session_state.presses += 1
    st.text(f"sample {st.session_state.presses}")


st.set_page_config(layout="wide")
keys() if st.query_params["way"] == "keys" else page()
