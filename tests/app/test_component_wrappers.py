"""What our components do on the server: packing, selections, and events from a browser that is not trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from oga_app.components import assets
from oga_app.components.grid.sample_grid import _action
from oga_app.components.map.points import MapPoints
from oga_app.components.review.review_queue import MAX_EDIT, Choices, ReviewEvent, _receive, offered
from oga_app.components.sample_view import MAX_TEXT, SampleView
from oga_core.errors import OgaError
from oga_core.map.polygon import CELLS, points_in_polygon
from oga_core.review import ReviewStore
from oga_core.review.decisions import Decision
from oga_core.samples import TARGETS

CLASSES = ("cat", "dog")
CHOICES = Choices(CLASSES, ("keep", "relabel", "remove", "unsure", "edit"))


def crossings(x: float, y: float, corners: np.ndarray) -> bool:
    """The even-odd rule for one point, edge by edge."""
    inside = False
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


@pytest.mark.parametrize("seed", range(5))
def test_points_in_polygon_follows_the_even_odd_rule(seed):
    rng = np.random.default_rng(seed)
    points, corners = rng.normal(size=(400, 2)), rng.normal(size=(3 + 5 * seed, 2))
    expected = [crossings(x, y, corners) for x, y in points]
    assert points_in_polygon(points, corners).tolist() == expected
    assert 0 < sum(expected) < 400


@pytest.mark.parametrize("corners", [3, 40])
def test_many_points_in_polygon_are_those_that_each_alone_is(corners):
    rng = np.random.default_rng(corners)
    polygon = rng.normal(size=(corners, 2))
    points = rng.normal(size=(2 * CELLS**2, 2)).astype(np.float32)
    points[:corners] = polygon
    few = np.array_split(points, 40)
    assert (points_in_polygon(points, polygon) == np.concatenate([points_in_polygon(p, polygon) for p in few])).all()


def test_a_polygon_of_many_points_may_have_no_area():
    points = np.zeros((2 * CELLS**2, 2))
    assert not points_in_polygon(points, [[0, 0], [0, 1], [0, 0]]).any()


def test_points_in_polygon_leaves_out_points_without_a_position():
    points = np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, np.nan], [2, 2]])
    assert points_in_polygon(points, [[0, 0], [1, 0], [1, 1], [0, 1]]).tolist() == [True, False, False, False]


@pytest.mark.parametrize("corners", [[[0, 0], [1, 1]], [[0, 0, 0]] * 4, np.zeros((2001, 2))])
def test_points_in_polygon_refuses_what_is_no_polygon(corners):
    with pytest.raises(OgaError, match="polygon of 3 to 2000 corners"):
        points_in_polygon(np.zeros((3, 2)), corners)


def unpacked(points: MapPoints) -> tuple[dict, np.ndarray, np.ndarray]:
    """Read the payload as the browser does."""
    size = int.from_bytes(points.payload[:4], "little")
    assert size % 4 == 0
    head = json.loads(points.payload[4 : 4 + size])
    body = points.payload[4 + size :]
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("label", "<u2"), ("finding", "u1"), ("spare", "u1")])
    n = -(-head["n"] // head["stride"])
    return head, np.frombuffer(body[: 12 * n], kind), np.frombuffer(body[12 * n :], "<f4")


def test_map_points_are_packed_most_suspicious_first():
    points = MapPoints.pack(
        [[0, 0], [1, 2], [3, 4], [np.nan, 1]], [0.5, 2.0, np.nan, 1.0], labels=[0, 1, -1, 0], label_names=CLASSES
    )
    head, packed, scores = unpacked(points)
    assert head == {"n": 4, "stride": 1, "labels": ["cat", "dog"], "findings": []}
    assert points.order.tolist() == [1, 3, 0, 2]
    assert scores.tolist() == [2.0, 1.0, 0.5, -np.inf]
    assert packed["x"].tolist()[0] == 1
    assert packed["label"].tolist() == [1, 0, 0, 65535]
    assert packed["finding"].tolist() == [255] * 4
    assert points.flagged(2).tolist() == [1, 3]
    assert points.threshold(2) == 1.0
    assert points.threshold(0) == np.inf
    assert points.by_rank([1, 2]).tolist() == [True, False, False, True]
    assert points.rows_inside([[-1, -1], [2, -1], [2, 3], [-1, 3]]).tolist() == [0, 1]


def test_of_many_samples_every_third_is_drawn_and_all_are_ranked():
    place = np.arange(16.0).reshape(8, 2)
    points = MapPoints.pack(place, np.arange(8.0), labels=np.arange(8) % 2, label_names=CLASSES, drawn=6)
    head, packed, scores = unpacked(points)
    assert (head["n"], head["stride"], points.stride) == (8, 3, 3)
    assert scores.tolist() == [7, 4, 1]
    assert packed["x"].tolist() == [14, 8, 2]
    assert packed["label"].tolist() == [1, 0, 1]
    assert points.flagged(2).tolist() == [7, 6]
    assert points.rows_inside([[3, 0], [9, 0], [9, 20], [3, 20]]).tolist() == [2, 3, 4]


def test_map_points_of_other_scores_have_another_version():
    first, second = (MapPoints.pack(np.zeros((3, 2)), scores) for scores in ([1, 2, 3], [1, 2, 4]))
    assert first.version != second.version


def test_map_points_need_one_entry_per_sample():
    with pytest.raises(OgaError, match="one of each per sample"):
        MapPoints.pack(np.zeros((3, 2)), [1.0, 2.0])


def test_sample_view_sends_only_what_it_has_and_cuts_long_texts():
    sent = SampleView("a", text="é" * (MAX_TEXT + 5), given="cat").data()
    assert sent == {"id": "a", "text": "é" * MAX_TEXT, "given": "cat", "cut": True}


def test_sample_view_takes_no_address_of_another_host():
    with pytest.raises(OgaError, match="data:image"):
        SampleView("a", image="https://evil.example/x.png")


@pytest.mark.parametrize("entry", ["map/gradient_map", "review/review_queue", "grid/sample_grid"])
def test_bundles_hold_all_their_modules(entry):
    script = assets.bundle(f"{entry}.js")
    export = f"export default m_{entry.replace('/', '_')}.mount;"
    assert script.endswith(f"{export}\n")
    assert script.count("const m_dom = ") == 1
    outside = [line for line in script.splitlines() if line.startswith(("import ", "export "))]
    assert outside == [export]


def test_scripts_never_build_html_from_strings():
    for path in assets.FOLDER.rglob("*.js"):
        source = path.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way not in source, f"{path.name} uses {way}"


class Desk:
    """The smallest backend of a review."""

    def __init__(self, path: Path):
        self.store = ReviewStore(path)

    def upcoming(self, count: int) -> Sequence[str]:
        return [f"s{i}" for i in range(9) if f"s{i}" not in self.store.decisions()][:count]

    def view(self, sample_id: str) -> SampleView:
        return SampleView(sample_id)

    def progress(self) -> dict[str, int]:
        return {}

    def apply(self, event: ReviewEvent) -> Sequence[str] | None:
        if event.action == "undo":
            return self.store.undo("me", client_event_id=event.event_id)
        if event.action == "redo":
            return self.store.redo("me", client_event_id=event.event_id)
        decision = Decision(event.sample_id, event.action, event.new_label, note=event.note, edit=event.edit)
        self.store.decide(decision, client_event_id=event.event_id)
        return None


@pytest.fixture
def desk(tmp_path):
    backend = Desk(tmp_path / "review.sqlite")
    yield backend
    backend.store.close()


def memory() -> dict:
    return {"done": {}, "last": [], "again": []}


def press(number: int, action: str, sample: str | None = None, **more: object) -> dict:
    return {"id": f"client-{number}", "action": action, "sample": sample, **more}


def test_events_that_come_again_are_acknowledged_and_written_once(desk):
    kept = memory()
    first = [press(1, "keep", "s0"), press(2, "relabel", "s1", label="dog", note="a dog")]
    _receive(desk, first, kept, CHOICES)
    _receive(desk, [*first, press(3, "remove", "s2")], kept, CHOICES)
    assert kept["last"] == ["client-1", "client-2", "client-3"]
    # The server was started again and remembers nothing but the file.
    _receive(desk, first, memory(), CHOICES)
    assert [step.kind for step in desk.store.history()] == ["decide"] * 3
    assert desk.store.decision("s1").new_label == "dog"
    assert desk.store.decision("s1").note == "a dog"


def test_an_undone_sample_is_shown_again_until_it_is_decided(desk):
    kept = memory()
    _receive(desk, [press(1, "keep", "s0"), press(2, "keep", "s1"), press(3, "undo")], kept, CHOICES)
    assert kept["again"] == ["s1"]
    _receive(desk, [press(4, "redo")], kept, CHOICES)
    assert kept["again"] == []
    _receive(desk, [press(5, "undo"), press(6, "unsure", "s1")], kept, CHOICES)
    assert kept["again"] == []
    assert desk.store.decision("s1").action == "unsure"


def test_refused_events_are_acknowledged_with_their_message(desk):
    kept = memory()
    _receive(
        desk,
        [press(1, "explode", "s0"), press(2, "relabel", "s1", label="wolf"), press(3, "keep", "s2")],
        kept,
        CHOICES,
    )
    assert "unknown action 'explode'" in kept["done"]["client-1"]
    assert "class 'wolf'" in kept["done"]["client-2"]
    assert kept["done"]["client-3"] is None
    assert list(desk.store.decisions()) == ["s2"]


def test_an_edit_is_written_with_its_texts(desk):
    kept = memory()
    edit = [["/messages/1/content", "better"], ["/messages/3/content", ""]]
    _receive(desk, [press(1, "edit", "s0", edit=edit), press(2, "keep", "s1", edit=edit)], kept, CHOICES)
    assert kept["done"] == {"client-1": None, "client-2": None}
    assert desk.store.decision("s0").edit == tuple(map(tuple, edit))
    assert desk.store.decision("s1").edit == ()


@pytest.mark.parametrize("edit", [None, [], {}, [["/text"]], [["/text", 3]], ["xy"], [["/text", "x"], 7]])
def test_an_edit_without_texts_is_refused(desk, edit):
    kept = memory()
    _receive(desk, [press(1, "edit", "s0", edit=edit)], kept, CHOICES)
    assert "edit without texts" in kept["done"]["client-1"]
    assert desk.store.history() == []


def test_what_the_run_has_no_use_for_is_refused(desk):
    kept = memory()
    chat = Choices((), ("keep", "edit", "remove", "unsure"))
    long = [["/text", "x" * (MAX_EDIT + 1)]]
    _receive(desk, [press(1, "relabel", "s0", label="cat"), press(2, "edit", "s0", edit=long)], kept, chat)
    assert "unknown action 'relabel'" in kept["done"]["client-1"]
    assert "longer than 200,000 characters" in kept["done"]["client-2"]


def test_what_is_no_single_class_can_be_written_anew():
    changeable = {target for target in TARGETS if "change" in offered(("keep",), target)}
    assert changeable == {"number", "labels", "tags"}


@pytest.mark.parametrize("events", [None, "x", [None, 3, {"action": "keep"}, {"id": 7}, {"id": "x" * 100}]])
def test_messages_that_are_no_events_change_nothing(desk, events):
    kept = memory()
    _receive(desk, events, kept, CHOICES)
    assert kept["last"] == []
    assert desk.store.history() == []


def test_bulk_actions_reach_only_samples_of_the_page():
    page = {"a", "b", "c"}
    action = _action({"id": "1", "action": "remove", "ids": ["c", "a", "a", "foreign", 3]}, page, CLASSES)
    assert action.sample_ids == ("c", "a")
    assert _action({"action": "relabel", "label": "dog", "ids": ["a"]}, page, CLASSES).new_label == "dog"


def test_a_bulk_action_on_every_sample_of_the_list_names_none():
    action = _action({"id": "1", "action": "suggest", "ids": ["a"], "every": True}, {"a"}, CLASSES)
    assert action.every
    assert action.sample_ids == ()
    assert not _action({"action": "keep", "ids": ["a"], "every": "yes"}, {"a"}, CLASSES).every


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"action": "explode", "ids": ["a"]},
        {"action": "relabel", "label": "wolf", "ids": ["a"]},
        {"action": "keep", "ids": ["foreign"]},
        {"action": "keep", "ids": "a"},
        {"action": "keep", "ids": [], "every": False},
        {"action": "relabel", "label": "wolf", "ids": [], "every": True},
    ],
)
def test_bulk_actions_that_make_no_sense_are_dropped(value):
    assert _action(value, {"a"}, CLASSES) is None


def test_suggestions_need_classes():
    assert _action({"action": "suggest", "ids": ["a"]}, {"a"}, ()) is None
