"""Our components in real headless Chromium, on pages of their own."""

from __future__ import annotations

import io
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from component_server import Server
from PIL import Image

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).with_name("component_page.py")
FIND_CANVAS = """() => {
  const find = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.matches("canvas.surface")) return node;
      const inner = node.shadowRoot && find(node.shadowRoot);
      if (inner) return inner;
    }
  };
  return find(document);
}"""

LOSE_CONTEXT = """(canvas) => {
  const context = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
  context.loseContext();
  setTimeout(() => context.restoreContext(), 200);
}"""
READY = {"map": "output.readout strong", "queue": ".position:not(:empty)", "grid": ".tile"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Server]:
    started = Server(SCRIPT, tmp_path_factory.mktemp("server")).start()
    yield started
    started.kill()


@pytest.fixture
def queue_server(tmp_path) -> Iterator[Server]:
    started = Server(SCRIPT, tmp_path).start()
    yield started
    started.kill()


@pytest.fixture
def opened(browser, site) -> Iterator[Callable]:
    pages, faults = [], []

    def open_page(show: str, base: str = site.url, dark: bool = False, **query: object):
        scheme = "dark" if dark else "light"
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{base}/?show={show}" + "".join(f"&{name}={value}" for name, value in query.items()))
        page.locator(READY[show]).first.wait_for(timeout=40_000)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until the condition holds; fail with what it returned last."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, value
        time.sleep(0.03)


def known(page) -> dict[str, str]:
    """What the server of the map page knows."""
    text = page.get_by_test_id("stText").filter(has_text="supported").inner_text()
    return dict(part.split(" ", 1) for part in text.split("; "))


def count_shown(page) -> int:
    return int(page.locator("output.readout strong").inner_text().replace(",", ""))


def pixels(page) -> np.ndarray:
    """The plot as `(height, width, 3)` integers."""
    page.wait_for_timeout(300)
    return np.asarray(Image.open(io.BytesIO(page.locator(".plot").screenshot())).convert("RGB")).astype(int)


def warm(image: np.ndarray) -> int:
    """How many pixels are of the accent's red-orange."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    return int(((red > 140) & (red - blue > 90) & (red - green > 60)).sum())


class Traffic:
    """Bytes through the page's WebSocket and files fetched since `reset`."""

    def __init__(self, page):
        self.client = page.context.new_cdp_session(page)
        self.client.send("Network.enable")
        self.client.on("Network.webSocketFrameSent", lambda event: self._add("sent", event))
        self.client.on("Network.webSocketFrameReceived", lambda event: self._add("received", event))
        self.client.on("Network.responseReceived", lambda event: self.files.append(event["response"]["url"]))
        self.reset()

    def reset(self) -> None:
        self.sent = self.received = 0
        self.files: list[str] = []

    def _add(self, way: str, event: dict) -> None:
        # Binary frames come as base64: four letters for three bytes.
        setattr(self, way, getattr(self, way) + len(event["response"]["payloadData"]) * 3 // 4)


def drag_threshold(page, to: float, release: bool = True, start: float = 0.9) -> None:
    box = page.locator(".histogram").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(box["x"] + (start + (to - start) * step / 5) * box["width"], y)
    if release:
        page.mouse.up()


def test_dragging_the_threshold_stays_in_the_browser_until_it_is_released(opened):
    page = opened("map")
    traffic = Traffic(page)
    before = warm(pixels(page))
    page.wait_for_timeout(1000)
    traffic.reset()
    drag_threshold(page, 0.2, release=False)
    until(lambda: count_shown(page) > 500)
    assert warm(pixels(page)) > 2 * before
    assert traffic.sent == 0
    assert known(page)["flagged"] == "100"
    page.mouse.up()
    until(lambda: int(known(page)["flagged"]) == count_shown(page))


def test_bytes_for_a_new_threshold_do_not_grow_with_the_number_of_samples(opened):
    sizes = []
    for n in (1000, 60_000):
        page = opened("map", n=n)
        traffic = Traffic(page)
        page.wait_for_timeout(1500)
        traffic.reset()
        drag_threshold(page, 0.3)
        until(lambda page=page: int(known(page)["flagged"]) == count_shown(page))
        page.wait_for_timeout(500)
        sizes.append(traffic.sent + traffic.received)
        assert [url for url in traffic.files if "/media/" in url] == []
    assert max(sizes) < 20_000
    assert abs(sizes[1] - sizes[0]) < 500


def test_a_whole_run_of_the_page_fetches_no_points_again(opened):
    page = opened("map")
    traffic = Traffic(page)
    page.get_by_role("button", name="Run the whole page").click()
    page.get_by_text("again", exact=True).wait_for()
    page.wait_for_timeout(500)
    assert [url for url in traffic.files if "/media/" in url] == []
    drag_threshold(page, 0.2)
    until(lambda: int(known(page)["flagged"]) == count_shown(page) > 100)


def test_threshold_follows_the_server(opened):
    page = opened("map")
    drag_threshold(page, 0.2)
    until(lambda: int(known(page)["flagged"]) == count_shown(page) > 100)
    page.get_by_role("button", name="Flag 100").click()
    until(lambda: count_shown(page) == 100)


def test_threshold_moves_by_keyboard(opened):
    page = opened("map")
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    page.keyboard.press("PageDown")
    until(lambda: count_shown(page) == 120)
    page.keyboard.press("Shift+ArrowRight")
    until(lambda: known(page)["flagged"] == "119")
    assert slider.get_attribute("aria-valuetext").startswith("119 of 2,000 flagged, 5.95 %")
    page.keyboard.press("End")
    until(lambda: known(page)["flagged"] == "0")
    page.keyboard.press("Home")
    until(lambda: known(page)["flagged"] == "2000")


@pytest.mark.parametrize("mode", ["Box", "Lasso"])
def test_selection_is_resolved_on_the_server(opened, mode):
    page = opened("map")
    box = page.locator(".surface").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.get_by_role("button", name=f"{mode}: drag on the map").click()
    bare = pixels(page)
    corners = [(-80, -80), (80, -80), (80, 80), (-80, 80)]
    page.mouse.move(x + corners[0][0], y + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[2:3] if mode == "Box" else corners[1:]:
        page.mouse.move(x + dx, y + dy, steps=8)
    page.mouse.up()
    until(lambda: int(known(page)["selected"]) > 0)
    # Uniform points fill the plot; the zoom makes both directions known from the picture's own size.
    inside = bare[6:-6, 6:-6]
    inked = (np.abs(inside - inside[0, 0]).sum(axis=2) > 40).nonzero()
    area = (np.ptp(inked[0]) + 1) * (np.ptp(inked[1]) + 1)
    expected = 2000 * 160 * 160 / area
    assert int(known(page)["selected"]) == pytest.approx(expected, rel=0.15)
    page.get_by_role("button", name="Clear the selection").click()
    until(lambda: known(page)["selected"] == "-1")


def test_map_works_without_a_mouse(opened):
    page = opened("map")
    page.locator(".surface").focus()
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    until(lambda: known(page)["picked"] != "None")
    first = known(page)["picked"]
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    live = page.locator("[aria-live=polite]").first.inner_text()
    assert re.match(r"class \d, score [\d.]+, rank [\d,]+, (not )?flagged", live)
    page.keyboard.press("Space")
    until(lambda: int(known(page)["selected"]) >= 2)
    page.keyboard.press("Enter")
    until(lambda: known(page)["picked"] != first)
    page.keyboard.press("Escape")
    until(lambda: known(page)["selected"] == "-1")


def test_hover_shows_the_sample_as_plain_text(opened):
    page = opened("map")
    box = page.locator(".surface").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    card = page.locator(".card")
    until(lambda: "**bold**" in card.inner_text())
    assert "<img src=x" in card.inner_text()
    assert card.locator("img").count() == 1
    assert page.title() != "hacked"


def test_colours_change_the_picture(opened):
    page = opened("map")
    seen = []
    for name in ("flagged", "score", "label", "decision", "finding"):
        page.get_by_text(name, exact=True).first.click()
        page.wait_for_timeout(700)
        seen.append(pixels(page).tobytes())
    assert len(set(seen)) == 5


def test_map_returns_after_the_graphics_context_is_lost(opened):
    page = opened("map")
    page.mouse.move(5, 5)
    before = pixels(page)
    handle = page.evaluate_handle(FIND_CANVAS)
    page.evaluate(LOSE_CONTEXT, handle)
    page.wait_for_timeout(1000)
    assert np.abs(pixels(page) - before).max() == 0
    drag_threshold(page, 0.2)
    until(lambda: count_shown(page) > 500)
    assert warm(pixels(page)) > warm(before)


def test_map_zooms_and_comes_back(opened):
    page = opened("map")
    before = pixels(page)
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(400)
    assert np.abs(pixels(page) - before).sum() > 0
    page.get_by_role("button", name="Show all points").click()
    page.mouse.move(5, 5)
    page.wait_for_timeout(400)
    assert np.abs(pixels(page) - before).max() == 0


def test_a_browser_without_webgl_is_reported(browser, site):
    path = os.environ.get("OGA_CHROMIUM") or shutil.which("chromium")
    plain = browser.browser_type.launch(executable_path=path, args=["--no-sandbox", "--disable-3d-apis"])
    page = plain.new_page()
    page.goto(site.url)
    page.get_by_text("supported False").wait_for(timeout=40_000)
    plain.close()


@pytest.mark.parametrize("n", [0, 1])
def test_map_of_hardly_any_samples(opened, n):
    page = opened("map", n=n)
    assert count_shown(page) == 0
    assert page.get_by_text("There are no samples to show.").is_visible() == (n == 0)
    page.locator(".surface").focus()
    for key in ("n", "ArrowLeft", "+", "0"):
        page.keyboard.press(key)
    if n:
        page.get_by_role("slider", name="Threshold").focus()
        page.keyboard.press("Home")
        until(lambda: known(page)["flagged"] == "1")


def test_map_in_the_dark(opened):
    page = opened("map", dark=True)
    image = pixels(page)
    assert image[2, 2].max() < 80
    assert warm(image) > 100


def steps(server: Server) -> list[tuple]:
    """The review log as it is on disk: kind, sample, action, new label, note."""
    with sqlite3.connect(server.folder / "review.sqlite") as database:
        return database.execute(
            "SELECT kind, sample_id, action, new_label, note FROM steps LEFT JOIN decisions ON step = seq ORDER BY seq"
        ).fetchall()


def shown(page) -> str:
    return page.locator(".position").inner_text().split(" · ")[-1]


def test_ten_presses_a_second_all_arrive_once_and_in_order(opened, queue_server):
    page = opened("queue", queue_server.url)
    keys = "kru" * 10
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(100)
    until(lambda: len(steps(queue_server)) >= 30)
    actions = {"k": "keep", "r": "remove", "u": "unsure"}
    assert [row[1:3] for row in steps(queue_server)] == [(f"s{i}", actions[key]) for i, key in enumerate(keys)]
    until(lambda: shown(page) == "s30")


def test_presses_faster_than_the_server_wait_their_turn(opened, queue_server):
    page = opened("queue", queue_server.url, slow=0.2)
    for _ in range(25):
        page.keyboard.press("k")
    until(lambda: len(steps(queue_server)) == 25, 30)
    assert [row[1] for row in steps(queue_server)] == [f"s{i}" for i in range(25)]
    until(lambda: shown(page) == "s25")
    until(lambda: page.locator(".state").inner_text() == "Saved.")


def test_the_next_sample_shows_only_when_the_decision_is_on_disk(opened, queue_server):
    page = opened("queue", queue_server.url, slow=0.5)
    for i in range(3):
        page.keyboard.press("k")
        while shown(page) == f"s{i}":
            written = len(steps(queue_server))
        assert len(steps(queue_server)) == i + 1
        assert written >= i


def test_undo_redo_and_looking_back(opened, queue_server):
    page = opened("queue", queue_server.url)
    for i, key in enumerate("krk"):
        page.keyboard.press(key)
        until(lambda i=i: shown(page) == f"s{i + 1}")
    page.keyboard.press("z")
    until(lambda: shown(page) == "s2")
    page.keyboard.press("Control+z")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("Shift+Z")
    until(lambda: shown(page) == "s2")
    page.keyboard.press("ArrowLeft")
    until(lambda: shown(page) == "s1")
    assert "Decided: removed" in page.locator(".about").inner_text()
    page.keyboard.press("k")
    until(lambda: shown(page) == "s2")
    assert [row[:3] for row in steps(queue_server)][-2:] == [("redo", None, None), ("decide", "s1", "keep")]


def test_suggestion_classes_search_and_note(opened, queue_server):
    page = opened("queue", queue_server.url)
    page.keyboard.press("Enter")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("4")
    until(lambda: shown(page) == "s2")
    page.keyboard.press("3")
    until(lambda: shown(page) == "s3")
    page.keyboard.press("/")
    page.keyboard.type("CLASS 1")
    page.keyboard.press("Enter")
    until(lambda: shown(page) == "s4")
    page.keyboard.press("n")
    page.keyboard.type("looks like rk")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    until(lambda: shown(page) == "s5")
    assert [row[1:] for row in steps(queue_server)] == [
        ("s0", "relabel", "class 1", ""),
        ("s1", "relabel", "class 3", ""),
        ("s2", "keep", None, ""),
        ("s3", "relabel", "class 1", ""),
        ("s4", "unsure", None, "looks like rk"),
    ]


def test_buttons_do_what_the_keys_do(opened, queue_server):
    page = opened("queue", queue_server.url)
    for i, name in enumerate(("Keep", "Take suggestion", "Remove", "Unsure")):
        page.get_by_role("button", name=name).click()
        until(lambda i=i: shown(page) == f"s{i + 1}")
    page.get_by_role("button", name="class 2").click()
    until(lambda: shown(page) == "s5")
    page.get_by_role("button", name="Undo").click()
    until(lambda: shown(page) == "s4")
    page.keyboard.press("Enter")
    until(lambda: shown(page) == "s5")
    actions = [row[2] for row in steps(queue_server)]
    # The focus has left the button: Enter takes the suggestion instead of pressing it again.
    assert actions == ["keep", "relabel", "remove", "unsure", "relabel", None, "relabel"]


def test_keys_typed_into_other_fields_decide_nothing(opened, queue_server):
    page = opened("queue", queue_server.url)
    page.get_by_label("Elsewhere").fill("")
    page.get_by_label("Elsewhere").press_sequentially("kru1")
    page.keyboard.press("Tab")
    page.wait_for_timeout(500)
    page.locator("section.review").focus()
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    assert len(steps(queue_server)) == 1


def test_a_refused_decision_is_explained_and_the_sample_stays(opened, queue_server):
    page = opened("queue", queue_server.url)
    page.keyboard.press("5")
    until(lambda: "The last class is refused." in page.locator(".state").inner_text())
    assert shown(page) == "s0"
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")


def test_nothing_is_lost_when_the_server_is_killed(opened, queue_server):
    page = opened("queue", queue_server.url)
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("r")
    queue_server.kill()
    for key in "uk":
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    queue_server.start()
    until(lambda: len(steps(queue_server)) == 4, 40)
    until(lambda: shown(page) == "s4", 40)
    page.keyboard.press("k")
    until(lambda: shown(page) == "s5", 20)
    assert [row[1:3] for row in steps(queue_server)] == [
        ("s0", "keep"), ("s1", "remove"), ("s2", "unsure"), ("s3", "keep"), ("s4", "keep"),
    ]  # fmt: skip


def test_nothing_is_lost_when_the_page_is_reloaded_before_it_was_saved(opened, queue_server):
    page = opened("queue", queue_server.url)
    queue_server.kill()
    for key in "kru":
        page.keyboard.press(key)
    queue_server.start()
    page.reload()
    until(lambda: len(steps(queue_server)) == 3, 40)
    until(lambda: shown(page) == "s3", 20)
    page.wait_for_timeout(2000)
    assert [row[1:3] for row in steps(queue_server)] == [("s0", "keep"), ("s1", "remove"), ("s2", "unsure")]


def test_the_server_learns_where_the_person_stops(opened, queue_server):
    page = opened("queue", queue_server.url)
    for i in range(3):
        page.keyboard.press("k")
        until(lambda i=i: shown(page) == f"s{i + 1}")
    page.get_by_text("resting at s3").wait_for(timeout=10_000)


def test_samples_are_shown_as_plain_text(opened, queue_server):
    page = opened("queue", queue_server.url)
    text = page.locator(".stage").inner_text()
    assert "<img src=x" in text
    assert "**bold**" in text
    assert page.locator(".stage img").count() == 0
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    assert page.locator(".stage img.pixelated").bounding_box()["width"] > 200
    page.keyboard.press("k")
    until(lambda: shown(page) == "s2")
    assert page.locator(".stage .text").evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    assert page.title() != "hacked"


def test_help_lists_the_keys(opened, queue_server):
    page = opened("queue", queue_server.url)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    sheet.wait_for()
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    until(lambda: shown(page) == "s1")
    assert [row[2] for row in steps(queue_server)] == ["remove"]


def test_a_thousand_classes(opened, tmp_path):
    many = Server(SCRIPT, tmp_path, PAGE_CLASSES="1000").start()
    page = opened("queue", many.url)
    buttons = page.locator(".classes button")
    assert buttons.count() == 9
    assert "class 1" in buttons.first.inner_text()
    page.keyboard.press("/")
    page.keyboard.type("997")
    page.keyboard.press("Enter")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("1")
    until(lambda: shown(page) == "s2")
    assert [row[3] for row in steps(many)] == ["class 997", "class 2"]
    labels = opened("map", many.url)
    labels.get_by_text("label", exact=True).first.click()
    labels.get_by_text("and 992 more; colours repeat").wait_for()
    many.kill()


def log(page) -> str:
    return page.get_by_test_id("stText").first.inner_text()


def test_grid_selects_by_mouse_and_asks_before_it_decides(opened):
    page = opened("grid")
    page.locator(".tile").nth(2).click()
    page.locator(".tile").nth(5).click(modifiers=["Shift"])
    page.locator(".tile").nth(4).click()
    page.get_by_role("button", name="Remove").click()
    assert "Remove, 3 samples?" in page.locator(".bar").inner_text()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(500)
    assert log(page) == ""
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove: 3 samples").click()
    until(lambda: log(page) == "remove None s2 s3 s5")
    assert page.locator(".tile[aria-selected=true]").count() == 0


def test_grid_works_without_a_mouse(opened):
    page = opened("grid")
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("l")
    page.keyboard.type("class 3")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    until(lambda: log(page) == "relabel class 3 s1 s2")
    page.keyboard.press("Enter")
    until(lambda: log(page).endswith("open s2"))
    page.keyboard.press("Control+a")
    page.keyboard.press("k")
    assert "Keep, 60 samples?" in page.locator(".bar").inner_text()
    page.keyboard.press("Enter")
    until(lambda: log(page).count("s") > 60)


def test_grid_sends_a_page_once(opened):
    page = opened("grid")
    traffic = Traffic(page)
    page.locator(".tile").nth(1).dblclick()
    until(lambda: "open s1" in log(page))
    assert [url for url in traffic.files if "/media/" in url] == []
    assert traffic.received < 10_000
    page.get_by_test_id("stNumberInputField").fill("1")
    page.keyboard.press("Enter")
    page.locator(".tile[aria-label^='s60,']").wait_for()
    assert len([url for url in traffic.files if "/media/" in url]) == 1


@pytest.mark.parametrize("show", ["map", "queue", "grid"])
@pytest.mark.parametrize("dark", [False, True])
def test_components_have_no_serious_accessibility_findings(opened, show, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(show, dark=dark)
    page.wait_for_timeout(500)
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (finding["id"], node["html"][:200])
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
        if "bidi" in str(node["target"]).lower() or isinstance(node["target"][0], list)
    ]
    assert serious == []
