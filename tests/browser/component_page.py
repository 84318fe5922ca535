"""A tiny Streamlit page that shows one of our components; what the server knows is printed for the tests to read."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from oga_app.components.grid.sample_grid import GridAction, sample_grid
from oga_app.components.map.gradient_map import gradient_map
from oga_app.components.map.points import MapPoints
from oga_app.components.review.review_queue import ReviewEvent, review_queue
from oga_app.components.sample_view import SampleView
from oga_core.errors import OgaError
from oga_core.review import ReviewStore
from oga_core.review.decisions import Decision

CLASSES = [f"class {i}" for i in range(int(os.environ.get("PAGE_CLASSES", "5")))]
CRAFTED = "<img src=x onerror=\"document.title='hacked'\"> **bold** ![x](http://evil.example/x.png)"
TEXTS = [CRAFTED, "مرحبا بالعالم", "猫在这里 🐈‍⬛ and on", "a plain sentence"]


@st.cache_resource
def opened(name: str) -> ReviewStore:
    return ReviewStore(Path(os.environ["PAGE_FOLDER"]) / f"{name}.sqlite")


def store() -> ReviewStore:
    """The decisions of the one test that this tab belongs to."""
    return opened(st.query_params.get("store", "review"))


@st.cache_resource
def points(n: int, drawn: int) -> MapPoints:
    rng = np.random.default_rng(0)
    place = rng.uniform(-1, 1, (n, 2))
    labels = np.arange(n) % 5
    names = {"label_names": CLASSES, "finding_names": ["a", "b"]}
    return MapPoints.pack(place, rng.gamma(1.5, size=n), labels=labels, findings=labels % 2, drawn=drawn, **names)


@st.cache_data
def picture(seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def view(number: int) -> SampleView:
    picture_or_text = {"image": picture(number), "pixelated": True} if number % 2 else {"text": TEXTS[number // 2 % 4]}
    return SampleView(
        f"s{number}", given=CLASSES[number % 5], predicted=CLASSES[(number + 1) % 5], position=f"{number + 1} of 300",
        probabilities=((CLASSES[(number + 1) % 5], 0.9), (CLASSES[number % 5], 0.1)), why="A reason.",
        **picture_or_text,
    )  # fmt: skip


class Desk:
    """300 samples in order; a relabel to the last class is refused."""

    def upcoming(self, count: int) -> Sequence[str]:
        decided = store().decisions()
        return [f"s{i}" for i in range(300) if f"s{i}" not in decided][:count]

    def view(self, sample_id: str) -> SampleView:
        return view(int(sample_id[1:]))

    def progress(self) -> dict[str, object]:
        return {"done": len(store().decisions()), "total": 300}

    def apply(self, event: ReviewEvent) -> Sequence[str] | None:
        time.sleep(float(st.query_params.get("slow", "0")))
        if event.action == "undo":
            return store().undo("me", client_event_id=event.event_id)
        if event.action == "redo":
            return store().redo("me", client_event_id=event.event_id)
        if event.new_label == CLASSES[-1]:
            raise OgaError("The last class is refused.")
        decision = Decision(event.sample_id, event.action, event.new_label, note=event.note)
        store().decide(decision, client_event_id=event.event_id)
        return None


@st.fragment
def map_page() -> None:
    state = st.session_state
    n = int(st.query_params.get("n", "2000"))
    state.setdefault("flagged", n // 20)
    state.setdefault("outline", None)
    all_points = points(n, int(st.query_params.get("drawn", n or 1)))
    color_by = st.radio("Colour", ["flagged", "score", "label", "decision", "finding"], horizontal=True)
    if st.button("Flag 100"):
        state.flagged = 100
    rows = None if state.outline is None else all_points.rows_inside(state.outline)
    drawn = gradient_map(
        all_points,
        key="map",
        count=state.flagged,
        color_by=color_by,
        decisions=(all_points.order[:40], [3] * min(n, 40)),
        selection=None if rows is None else all_points.by_rank(rows),
        polygon=state.outline,
        preview=lambda row: SampleView(f"row {row}", text=CRAFTED, image=picture(1)),
        on_threshold=lambda count: state.update(flagged=count),
        on_select=lambda outline: state.update(outline=outline),
        on_pick=lambda row: state.update(picked=row),
    )
    chosen = -1 if rows is None else len(rows)
    st.text(f"flagged {state.flagged}; selected {chosen}; picked {state.get('picked')}; supported {drawn.supported}")


@st.fragment
def queue_page() -> None:
    resting = review_queue(Desk(), key="queue", classes=CLASSES)
    st.text(f"resting at {resting}")


def _reached(action: GridAction) -> str:
    return "every" if action.every else " ".join(action.sample_ids)


@st.fragment
def grid_page() -> None:
    log = st.session_state.setdefault("log", [])
    start = 60 * int(st.number_input("Page", 0, 4, 0))
    sample_grid(
        [view(start + i) for i in range(60)],
        key="grid",
        classes=CLASSES,
        on_bulk=lambda action: log.append(f"{action.action} {action.new_label} {_reached(action)}"),
        total=300,
        on_open=lambda sample_id: log.append(f"open {sample_id}"),
    )
    st.text("; ".join(log))


st.set_page_config(layout="wide")
{"map": map_page, "queue": queue_page, "grid": grid_page}[st.query_params.get("show", "map")]()
st.text_input("Elsewhere")
if st.button("Run the whole page"):
    st.text("again")
