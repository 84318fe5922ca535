"""The map of gradients with its histogram: drawn with WebGL2, threshold and colours on the graphics card.

    @st.fragment
    def map_view():
        state = gradient_map(
            points,                              # MapPoints.pack(...), cached: st.cache_resource
            key="map",
            count=session.flagged_count,         # how many are flagged; the component moves it while dragging
            color_by="flagged",                  # flagged | score | label | value | decision | finding
            decisions=(rows, codes),             # decided rows and their codes (DECISION_CODES), or None
            selection=chosen.by_rank,            # (n_samples,) which to emphasise, by rank, or None
            polygon=session.polygon,             # the outline that made the selection, or None
            preview=lambda row: SampleView(...), # what the hover card shows; called for one row at a time
            on_threshold=session.set_count,      # called with the new count, once the handle is released
            on_select=session.set_polygon,       # called with a (corners, 2) array in data coordinates; None = cleared
            on_pick=session.open_sample,         # called with the row that was clicked (or Enter on the focused point)
            clusters=[("cat → dog", (1.0, 2.0))], # names and where they stand, the largest cluster first
            chances=probabilities,               # that labels are wrong, falling with the score; None where not known
        )
        if not state.supported:                  # this browser has no WebGL2
            show_plotly_raster()

The callbacks run before the fragment runs again, so the whole fragment sees the new state. To rerun other views as
well, call `st.rerun()` from the fragment when something they show has changed. A selection is resolved on the server:
`points.rows_inside(polygon)`. Nothing that grows with the number of samples is sent again when the threshold moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from oga_app.components import assets
from oga_app.components.map.points import MapPoints
from oga_app.components.sample_view import SampleView
from oga_core.errors import unknown
from oga_core.map.polygon import MAX_CORNERS

ColorBy = Literal["flagged", "score", "label", "value", "decision", "finding"]
COLOR_BY: tuple[ColorBy, ...] = ("flagged", "score", "label", "value", "decision", "finding")
"""value: labels that are ranges of a number, in their order."""
DECISION_CODES = {"keep": 1, "relabel": 2, "remove": 3, "unsure": 4, "edit": 2, "swap": 2}

_SCRIPT = "map/gradient_map.js"
_mount = assets.register(_SCRIPT)


@dataclass(frozen=True)
class MapState:
    """What the page needs to know of the map: whether this browser can draw it (True until it says no)."""

    supported: bool = True


def gradient_map(
    points: MapPoints,
    *,
    key: str,
    count: int,
    color_by: ColorBy = "flagged",
    decisions: tuple[ArrayLike, ArrayLike] | None = None,
    selection: NDArray[np.bool_] | None = None,
    polygon: ArrayLike | None = None,
    preview: Callable[[int], SampleView] | None = None,
    on_threshold: Callable[[int], object] | None = None,
    on_select: Callable[[NDArray[np.float64] | None], object] | None = None,
    on_pick: Callable[[int], object] | None = None,
    axis: str = "score",
    chances: ArrayLike | None = None,
    clusters: Sequence[tuple[str, tuple[float, float]]] = (),
    height: int = 520,
) -> MapState:
    """Draw the map; see the module for how to use it. `height` is in CSS pixels and includes the histogram."""
    if color_by not in COLOR_BY:
        raise unknown("colouring", color_by, COLOR_BY)
    n = len(points)
    card_key = f"{key}:card"

    def message(event: str) -> Any:
        return (st.session_state.get(key) or {}).get(event)

    def row_of(value: Any) -> int | None:
        valid = isinstance(value, dict) and isinstance(value.get("rank"), int) and 0 <= value["rank"] < n
        return int(points.order[value["rank"]]) if valid else None

    def move_threshold() -> None:
        value = message("threshold")
        if on_threshold and isinstance(value, dict) and isinstance(value.get("count"), int):
            on_threshold(min(max(value["count"], 0), n))

    def select() -> None:
        value = message("selection")
        if on_select and isinstance(value, dict):
            on_select(_polygon(value.get("polygon")))

    def pick() -> None:
        row = row_of(message("pick"))
        if on_pick and row is not None:
            on_pick(row)

    def hover() -> None:
        row = row_of(message("hover"))
        if preview and row is not None:
            st.session_state[card_key] = {"rank": int(points.rank[row]), "sample": preview(row).data()}

    card = st.session_state.get(card_key)
    result = _mount(
        key=key,
        data={
            "module": assets.module_url(_SCRIPT),
            "points": assets.media_url(points.payload, "application/octet-stream", f"{key}-points-{points.version}"),
            "version": points.version,
            "count": int(min(max(count, 0), n)),
            "answers": (message("threshold") or {}).get("time", 0),
            "colorBy": color_by,
            "decisions": _decisions(points, decisions, key),
            "selection": None if selection is None else _bits(selection, key),
            "polygon": None if polygon is None else np.asarray(polygon, dtype=float).round(6).tolist(),
            "card": card,
            "hasPreview": preview is not None,
            "axis": axis,
            "clusters": [[name, list(place)] for name, place in clusters],
            "chances": None if chances is None else points.chance_steps(chances),
            "height": int(height),
        },
        on_threshold_change=move_threshold,
        on_selection_change=select,
        on_pick_change=pick,
        on_hover_change=hover,
        on_supported_change=lambda: None,
    )
    return MapState(supported=result.get("supported") is not False)


def _bits(by_rank: NDArray[np.bool_], key: str) -> str:
    bits = np.packbits(by_rank, bitorder="little").tobytes()
    return assets.media_url(bits, "application/octet-stream", f"{key}-selection")


def _decisions(points: MapPoints, decisions: tuple[ArrayLike, ArrayLike] | None, key: str) -> str | None:
    """Pack decided samples as (rank, code) pairs: a person's decisions are few, however many samples there are."""
    if decisions is None or len(np.asarray(decisions[0])) == 0:
        return None
    rows, codes = (np.asarray(part, dtype=np.int64) for part in decisions)
    pairs = np.stack([points.rank[rows], codes], axis=1).astype("<u4")
    return assets.media_url(pairs.tobytes(), "application/octet-stream", f"{key}-decisions")


def _polygon(corners: Any) -> NDArray[np.float64] | None:
    """Return the corners sent by the browser, None where they are no polygon."""
    try:
        array = np.asarray(corners, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    valid = array.ndim == 2 and array.shape[1] == 2 and 3 <= len(array) <= MAX_CORNERS and np.isfinite(array).all()
    return array if valid else None
