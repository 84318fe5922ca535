"""Explore: the map of gradients, the threshold, and what lies on either side of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from oga_app import cache, state
from oga_app.background import jobs
from oga_app.components.grid.sample_grid import sample_grid
from oga_app.components.map.gradient_map import COLOR_BY, DECISION_CODES, gradient_map
from oga_app.elements import charts, desk, hints, messages, thumbnails
from oga_app.views import header, numbers, outlook
from oga_app.views.detail import detail
from oga_app.views.header import Opened
from oga_app.views.selection import tables
from oga_app.views.selection.act import act, bulk, done, review_these
from oga_app.views.selection.confused import confused
from oga_app.views.selection.filter_bar import filter_bar
from oga_app.views.selection.parts import part
from oga_core.review import queue
from oga_core.review.decisions import ACTIONS
from oga_core.runs.words import LABEL

PAGE = 60


def show() -> None:
    """Draw the page."""
    view = header.opened()
    if view is None:
        return
    view.session.take_stale()
    header.title("Explore", view)
    filter_bar(view, lambda: None)
    left, right = st.columns([5, 3], gap="medium")
    with left:
        _map()
        if jobs.map_is_coming(view.data.path):
            _wait_for_map(view.data.path)
    with right:
        _threshold(view)
        messages.guarded(outlook.expected)(view)
    parts = _parts(view)
    parts[part(list(parts), "explore-part")](view)
    if view.session.opened:
        detail(view)


def _parts(view: Opened) -> dict[str, Callable[[Opened], None]]:
    """What can be shown below the map, by name; tables and charts, whose scripts are large, come when asked for."""
    parts: dict[str, Callable[[Opened], None]] = {"Samples": _samples}
    if view.data.classes:
        parts |= {"Classes": _classes, "Confused pairs": _pairs}
    if view.data.clusters.names:
        parts["Clusters"] = _clusters
    parts["Scores"] = _distributions
    if view.data.target == "number":
        parts["Given and predicted"] = numbers.given_and_predicted
    return parts


@st.fragment
@messages.guarded
def _map() -> None:
    view = header.opened()
    assert view is not None
    # What the map's own callbacks changed concerns the whole page: drawing the map twice would only delay it.
    if view.session.take_stale():
        st.rerun()
    points = cache.points(view.data, view.score)
    if points is None:
        coming = jobs.map_is_coming(view.data.path)
        reason = "The map is being made." if coming else "This run has no map: it was scored without one."
        messages.empty(f"{reason}\nThe threshold, tables and samples work without it.")
        return
    absent = {
        "finding": not view.data.finding_names,
        "label": not view.data.classes,
        "value": view.data.target != "number",
    }
    colours = [name for name in COLOR_BY if not absent.get(name)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = st.segmented_control(
            "Colour by",
            colours,
            default="flagged",
            required=True,
            format_func=str.capitalize,
            key="colour",
            persist_state="session",
        )
        hints.hint("Explore", "Map", is_named=True)
        hints.hint("Explore", "Histogram", is_named=True)
    current = view.session
    selection = view.selection.by_rank if current.filters else None
    decided = np.flatnonzero(view.board.codes >= 0)
    codes = np.array([DECISION_CODES[action] for action in ACTIONS])[view.board.codes[decided]]
    shown = partial(desk.sample_view, view.data, view.board, score=view.score, flagged=view.flagged, side=desk.CARD)
    drawn = gradient_map(
        points,
        key=f"map-{view.data.name}-{view.score}",
        count=view.flagged,
        color_by=colour,
        decisions=(decided, codes),
        selection=selection,
        polygon=current.filters.polygon,
        preview=lambda row: shown(row),
        on_threshold=current.set_flagged,
        on_select=lambda corners: _select(view, corners),
        on_pick=lambda row: current.open_sample(str(view.data.ids[row])),
        axis=_axis(view, "{}, more suspicious to the right"),
        chances=_chances(view),
        clusters=list(zip(view.data.clusters.names, view.data.clusters.places, strict=True)),
    )
    if points.stride > 1:
        messages.quiet(
            f"Drawn is one of every {points.stride} samples, evenly by suspicion. Counts, filters and selections are "
            f"of all {len(points):,}."
        )
    if not drawn.supported:
        _raster(view)
    if current.take_stale():
        st.rerun()


def _chances(view: Opened) -> NDArray[np.float64] | None:
    """How likely labels are wrong, where the score in view ranks by that."""
    return view.board.wrong_probability() if view.score == view.data.default_score else None


def _axis(view: Opened, by_score: str = "{}") -> str:
    """What scores mean along an axis: how likely what samples are labelled with is wrong, where that is known."""
    if _chances(view) is None:
        return by_score.format(view.score.replace("_", " "))
    return f"how likely the {LABEL[view.data.target]} is wrong"


@st.fragment(run_every=3.0)
@messages.guarded
def _wait_for_map(run: Path) -> None:
    if not jobs.map_is_coming(run):
        st.rerun()
    messages.quiet("The final map, by UMAP, appears here when it is ready.")


def _select(view: Opened, corners: NDArray[np.float64] | None) -> None:
    polygon = None if corners is None else tuple((float(x), float(y)) for x, y in corners)
    view.session.set_filters(replace(view.session.filters, polygon=polygon))
    if polygon is not None:
        state.choose("explore-list", "Most suspicious")
        state.choose("explore-part", "Samples")


def _raster(view: Opened) -> None:
    picked = st.plotly_chart(
        charts.raster_map(view.selection),
        key=f"raster-{view.data.name}",
        on_select="rerun",
        selection_mode=("box", "lasso"),
        config={"displaylogo": False, "scrollZoom": True},
    )
    corners = charts.polygon_of(picked.selection)
    if corners is not None and corners != view.session.filters.polygon:
        _select(view, np.array(corners))


def _threshold(view: Opened) -> None:
    data = view.data
    selection = view.selection
    hints.section("Explore", "Threshold")
    among = f"{len(selection):,} in the filter" if view.session.filters else f"{len(data):,} samples"
    share = messages.Figure("Share", messages.percent(selection.share_flagged), _at(view))
    flagged = messages.Figure("Flagged", f"{len(selection.flagged):,}", f"of {among}", flagged=True)
    messages.figures(flagged, *([share] if len(selection) else []))
    count = st.number_input(
        f"Flag this many of all {len(data):,}, the highest scores first",
        0,
        len(data),
        view.flagged,
        key=f"count-{view.flagged}",
    )
    suggested = data.ranked(view.score).count(data.trim_fraction())
    back = view.flagged != suggested and st.button(f"Back to the suggested {suggested:,}", key="suggested")
    if count != view.flagged or back:
        view.session.set_flagged(suggested if back else count)
        st.rerun()


def _at(view: Opened) -> str:
    """How likely wrong the last flagged label is; empty where that is not known."""
    if not view.flagged:
        return "nothing is flagged"
    wrong = desk.wrong_probability(view.board, view.data.order(view.score)[view.flagged - 1])
    return "" if wrong is None else f"the last one is {messages.chance(wrong)} likely wrong"


@messages.guarded
def _samples(view: Opened) -> None:
    which = st.segmented_control(
        "Order", queue.LISTS, default="Most suspicious", required=True, key="explore-list", persist_state="session"
    )
    rows = queue.listed(view.selection, which, PAGE)
    with st.container(horizontal=True, vertical_alignment="center"):
        review_these(view)
        act(view)
        hints.hint("Explore", "Samples")
    done(view)
    if not len(rows):
        messages.empty("No sample passes this filter. Remove a chip above to see more.")
        return
    pages = -(-len(rows) // PAGE)
    page = st.pagination(pages, key=f"page-{which}-{pages}") if pages > 1 else 1
    shown = rows[(page - 1) * PAGE : page * PAGE]
    current = view.session
    views = desk.tiles(view.data, view.board, shown.tolist(), score=view.score, flagged=view.flagged)
    sample_grid(
        views,
        key=f"grid-{view.data.name}",
        classes=view.data.classes,
        on_bulk=lambda action: bulk(view, action, rows),
        on_open=current.open_sample,
        total=len(rows),
    )
    if not thumbnails.is_open(view.data):
        thumbnails.wait(view.data)


@messages.guarded
def _classes(view: Opened) -> None:
    hints.section("Explore", "Classes", about="Choose a row to see its samples below.")
    tables.classes(view)
    _samples(view)


@messages.guarded
def _pairs(view: Opened) -> None:
    confused(view)
    _samples(view)


@messages.guarded
def _clusters(view: Opened) -> None:
    hints.section(
        "Explore", "Clusters", about="Samples whose gradients are alike. Choose a row to see its samples below."
    )
    tables.clusters(view)
    _samples(view)


@messages.guarded
def _distributions(view: Opened) -> None:
    hints.section("Explore", "Scores")
    st.plotly_chart(charts.histogram(view.selection, view.board.codes, _axis(view), _chances(view)), key="histogram")
