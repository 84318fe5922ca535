"""Two runs side by side: what fixing the data and training again has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from oga_app import cache, state
from oga_app.components.grid.sample_grid import sample_grid
from oga_app.components.map.gradient_map import gradient_map
from oga_app.elements import desk, hints, messages
from oga_app.elements.messages import Figure, percent
from oga_app.views import header
from oga_app.views.header import Opened
from oga_core.evaluation.runs import RunPair, flagged_rows
from oga_core.review.carrying import carried
from oga_core.runs.scored import ScoredRun
from oga_core.runs.words import LABELS

_SHOWN = 24
_ACTIONS = {
    "relabel": "Relabelled",
    "swap": "Swapped",
    "edit": "Edited",
    "remove": "Removed",
    "keep": "Kept",
    "unsure": "Unsure",
}


def show(view: Opened) -> None:
    """Choose the earlier run, and draw the comparison."""
    hints.section("Compare", "Another run")
    others = [path for path in view.session.settings.runs() if path != view.data.path and _is_scored(path)]
    if not others:
        messages.empty(
            "There is no other scored run to compare this one with.\nStart one from this run on the Run page."
        )
        return
    previous = Path(view.data.info.previous)
    earlier = st.selectbox(
        "Earlier run", others, others.index(previous) if previous in others else 0,
        format_func=lambda path: path.name, key=f"earlier-{view.data.name}",
    )  # fmt: skip
    pair = RunPair(cache.run_data(earlier), view.data, cache.board(cache.run_data(earlier)).decisions)
    if not pair.same:
        messages.empty("The two runs have no sample in common: neither the contents nor the ids are the same.")
        return
    _figures(pair)
    _fates(pair)
    _maps(earlier)
    for title, rows in (("Flagged now, and not before", pair.entered), ("Flagged before, and not now", pair.left)):
        _tiles(view, title, rows)


def _is_scored(path: Path) -> bool:
    return (path / "scores.parquet").is_file()


def _figures(pair: RunPair) -> None:
    summary = pair.summary()
    both = messages.counted(len(pair.same), "sample", "samples")
    gone = summary["samples"]["gone"]
    added = summary["samples"]["added"]
    messages.section(f"{pair.old.name} → {pair.new.name}", f"{both} in both, {gone:,} gone, {added:,} new.")
    accuracy = summary["accuracy_on_given_labels"]
    flagged = summary["share_flagged"]
    rates = [part and part["rate"] for part in summary["noise_rate"].values()]
    messages.figures(
        *_change("Accuracy on given labels", accuracy["old"], accuracy["new"]),
        *_change("Flagged", flagged["old"], flagged["new"]),
        *_change(f"{LABELS.get(pair.new.target, 'labels').capitalize()} that look wrong", *rates),
        Figure("Flagged now, not before", f"{len(pair.entered):,}"),
        Figure("Flagged before, not now", f"{len(pair.left):,}"),
    )


def _change(name: str, before: float | None, after: float | None) -> Iterator[Figure]:
    """A share then and now; nothing where neither run tells it."""
    if before is not None or after is not None:
        was = "not estimated before" if before is None else f"{percent(before)} before"
        yield Figure(name, "–" if after is None else percent(after), was)


def _fates(pair: RunPair) -> None:
    fates = {action: fate for action, fate in pair.fates().items() if fate["decided"]}
    if not fates:
        messages.quiet(f"Nothing was decided on {pair.old.name}.")
        return
    messages.section("What happened to what was decided")
    table = pd.DataFrame(
        {
            "Decision": [_ACTIONS[action] for action in fates],
            "Samples": [fate["decided"] for fate in fates.values()],
            "Done in the data": [fate["applied"] for fate in fates.values()],
            "Flagged before": [fate["flagged_before"] for fate in fates.values()],
            "Flagged now": [fate["flagged_now"] for fate in fates.values()],
            "The model now agrees": [fate["agreed"] for fate in fates.values()],
        }
    )
    is_predicted = bool(pair.new.classes) or pair.new.target in ("labels", "tags", "mask")
    if not is_predicted:  # rows of a language model have no prediction, and none is exactly the number a person gave
        table = table.drop(columns="The model now agrees")
    counts = st.column_config.NumberColumn(format="localized")
    st.dataframe(table, hide_index=True, column_config=dict.fromkeys(table.columns[1:], counts))
    _stale(pair)


def _stale(pair: RunPair) -> None:
    """The decisions of the earlier run that say nothing about the later one, with the reason of each."""
    stale = carried(pair.old, pair.new, pair.decisions).stale
    if not stale:
        return
    count = messages.counted(len(stale), "decision was", "decisions were")
    messages.section(f"{count} not carried over", "Look at these samples again, or leave them out of the comparison.")
    decisions = [item.decision for item in stale]
    table = pd.DataFrame(
        {
            "Sample": [made.sample_id for made in decisions],
            "Decision": [
                f"{_ACTIONS.get(made.action, made.action)} {made.new_label or ''}".strip() for made in decisions
            ],
            "Why it does not hold": [item.reason for item in stale],
            "Reviewer": [made.reviewer for made in decisions],
        }
    )
    st.dataframe(table, hide_index=True, height=min(35 * len(table) + 38, 320))


@st.fragment
@messages.guarded
def _maps(earlier: Path) -> None:
    """Both maps; what is chosen on one is emphasised on both."""
    view = header.opened()
    assert view is not None
    old = cache.run_data(earlier)
    pair = RunPair(old, view.data, {})
    name = f"pair-{old.name}-{view.data.name}"
    selected: NDArray[np.int64] | None = state.memory(name, None)
    back = {place: row for row, place in pair.same.items()}
    shown = None if selected is None else np.array([back[place] for place in selected.tolist()], dtype=np.int64)
    left, right = st.columns(2, gap="medium")
    remember = partial(state.remember, name)
    with left:
        messages.quiet(old.name)
        _map(old, shown, f"{name}-old", lambda rows: remember(_common(rows, pair.same)))
    with right:
        messages.quiet(view.data.name)
        _map(view.data, selected, f"{name}-new", lambda rows: remember(_common(rows, {place: place for place in back})))


def _map(
    data: ScoredRun, selected: NDArray[np.int64] | None, key: str, choose: Callable[[NDArray[np.int64] | None], None]
) -> None:
    points = cache.points(data, data.default_score)
    if points is None:
        messages.empty(f"{data.name} has no map.")
        return
    shown = partial(
        desk.sample_view, data, cache.board(data), score=data.default_score, flagged=len(flagged_rows(data)),
        side=desk.CARD,
    )  # fmt: skip
    gradient_map(
        points,
        key=key,
        count=len(flagged_rows(data)),
        selection=None if selected is None else points.by_rank(selected),
        preview=lambda row: shown(row),
        on_select=lambda corners: choose(None if corners is None else points.rows_inside(corners)),
        on_pick=lambda row: choose(np.array([row])),
        axis=f"{data.default_score.replace('_', ' ')}, more suspicious to the right",
        height=420,
    )


def _common(rows: NDArray[np.int64] | None, places: dict[int, int]) -> NDArray[np.int64] | None:
    """The rows of the later run for rows of either, those that both have; None where nothing is chosen."""
    if rows is None:
        return None
    return np.array([places[row] for row in rows.tolist() if row in places], dtype=np.int64)


def _tiles(view: Opened, title: str, rows: NDArray[np.int64]) -> None:
    about = f"The first {_SHOWN} of {len(rows):,}." if len(rows) > _SHOWN else ""
    messages.section(title, about or f"{messages.counted(len(rows), 'sample', 'samples')}.")
    if len(rows):
        views = desk.tiles(view.data, view.board, rows[:_SHOWN].tolist(), score=view.score, flagged=view.flagged)
        sample_grid(views, key=title, on_open=view.session.open_sample)
