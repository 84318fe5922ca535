"""A page of samples as thumbnails or texts, with selection and bulk decisions.

    @st.fragment
    def grid_view():
        sample_grid(
            [desk.view(sample_id) for sample_id in page_ids],   # SampleView; 60 or 300 a page
            key="grid",
            classes=class_names,
            selected=session.selected_ids,                      # optional: set the selection from Python
            on_bulk=session.bulk,                               # called with a GridAction after the person confirmed
            on_open=session.open_sample,                        # called with a sample id (double click, Enter)
        )

A page is sent once, as a file: a rerun that shows the same page sends only its address. Only ids of the page and known
classes reach the callbacks. Keys: arrows move, Space selects, Shift extends, Ctrl+A the page, Escape none, Enter opens;
s, k, r, u, l ask to take the suggestions of what is selected, to keep, remove, mark as unsure or relabel it, 1 … 9 and
0 to give it one of the numbered classes, and a bar asks to confirm with the count. The bar also selects all of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import streamlit as st

from oga_app.components import assets
from oga_app.components.sample_view import SampleView

GridVerb = Literal["suggest", "keep", "relabel", "remove", "unsure"]
VERBS: tuple[GridVerb, ...] = get_args(GridVerb)
LABEL_VERBS: tuple[GridVerb, ...] = ("suggest", "relabel")
MAX_ID = 64  # characters; ours are about 25

_SCRIPT = "grid/sample_grid.js"
_mount = assets.register(_SCRIPT)


@dataclass(frozen=True)
class GridAction:
    """A confirmed bulk decision on samples of the page, or on `every` one of the list that the page is of.

    event_id: unique; pass it on as the client event id. "suggest" relabels each sample to its own suggestion.
    """

    event_id: str
    action: GridVerb
    sample_ids: tuple[str, ...]
    new_label: str | None = None
    every: bool = False


def sample_grid(
    views: Sequence[SampleView],
    *,
    key: str,
    classes: Sequence[str] = (),
    selected: Collection[str] | None = None,
    on_bulk: Callable[[GridAction], object] | None = None,
    on_open: Callable[[str], object] | None = None,
    total: int | None = None,
    size: int = 112,
    rows: bool = False,
    height: int | None = None,
) -> None:
    """Show one page; see the module.

    total: samples of the list that the page is of, where all of them may be decided on at once. size: a tile's side in
    CSS pixels. rows: one sample a line, for texts. height: makes the page scroll inside.
    """
    page = {view.id for view in views}
    names = set(classes)

    def message(event: str) -> Any:
        return (st.session_state.get(key) or {}).get(event)

    def bulk() -> None:
        action = _action(message("bulk"), page, names)
        if on_bulk and action:
            on_bulk(action)

    def opened() -> None:
        value = message("open")
        if on_open and isinstance(value, dict) and value.get("id") in page:
            on_open(value["id"])

    content = assets.json_bytes({"samples": [view.data() for view in views], "classes": list(map(str, classes))})
    _mount(
        key=key,
        data={
            "module": assets.module_url(_SCRIPT),
            "page": assets.media_url(content, "application/json", f"{key}-page"),
            "selected": None if selected is None else [sample_id for sample_id in selected if sample_id in page],
            "verbs": [verb for verb in VERBS if classes or verb not in LABEL_VERBS] if on_bulk else [],
            "total": len(views) if total is None else int(total),
            "canOpen": on_open is not None,
            "size": int(size),
            "rows": rows,
            "height": height,
        },
        on_bulk_change=bulk,
        on_open_change=opened,
    )


def _action(value: Any, page: Collection[str], classes: Collection[str]) -> GridAction | None:
    """Return the action sent by the browser; None where it is not one on this page's samples."""
    if not isinstance(value, dict) or value.get("action") not in VERBS or not isinstance(value.get("ids"), list):
        return None
    action = value["action"]
    every = value.get("every") is True
    sample_ids = tuple(dict.fromkeys(sample_id for sample_id in value["ids"] if sample_id in page))
    label = value.get("label") if action == "relabel" else None
    if not (sample_ids or every) or (action == "relabel" and label not in classes):
        return None
    if action == "suggest" and not classes:
        return None
    return GridAction(str(value.get("id", ""))[:MAX_ID], action, () if every else sample_ids, label, every)
