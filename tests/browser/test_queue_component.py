"""The review queue in real headless Chromium: what keys do, and that none is lost."""

from __future__ import annotations

import pytest
from component_probes import shown, steps, until
from component_server import PAGE, Server

from oga_app.components import assets

pytestmark = pytest.mark.browser

SWAP = """async (source) => {
  const { default: mount } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const sent = new Map();
  const place = document.body.appendChild(document.createElement("div"));
  const data = { store: "swap", height: 300, order: ["s0", "s1"], acked: [], errors: {},
    progress: { done: 0, total: 2 }, samples: ["s0", "s1"].map((id) => ({ id, text: id, given: "a" })) };
  const setStateValue = (name, value) => {
    for (const event of value.events ?? []) sent.set(event.id, `${event.action} ${event.sample}`);
  };
  const call = () => mount({ parentElement: place, data, setStateValue });
  const press = (key) => window.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
  const leave = call();
  await wait(50);
  press("5");
  const said = place.querySelector(".state").textContent;
  leave();
  press("k");
  const leaveAgain = call();
  press("r");
  place.remove();
  leaveAgain();
  await wait(50);
  return [said, ...sent.values(), press("k") ? "nobody listens" : "still there"];
}"""


def test_ten_presses_a_second_all_arrive_once_and_in_order(opened, queue_server):
    page = opened("queue", queue_server)
    keys = "kru" * 10
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(100)
    until(lambda: len(steps(queue_server)) >= 30)
    actions = {"k": "keep", "r": "remove", "u": "unsure"}
    assert [row[1:3] for row in steps(queue_server)] == [(f"s{i}", actions[key]) for i, key in enumerate(keys)]
    until(lambda: shown(page) == "s30")


def test_a_press_counts_while_streamlit_changes_the_data(page):
    """Streamlit cleans a place up some time before it fills it again; the key that is pressed then must be kept."""
    page.goto("about:blank")
    pressed = page.evaluate(SWAP, assets.bundle("review/review_queue.js"))
    loading = "The classes are still loading; press again."
    assert pressed == [loading, "keep s0", "remove s1", "nobody listens"]


def test_presses_faster_than_the_server_wait_their_turn(opened, queue_server):
    page = opened("queue", queue_server, slow=0.2)
    for _ in range(25):
        page.keyboard.press("k")
    until(lambda: len(steps(queue_server)) == 25, 30)
    assert [row[1] for row in steps(queue_server)] == [f"s{i}" for i in range(25)]
    until(lambda: shown(page) == "s25")
    until(lambda: page.locator(".state").inner_text() == "Saved.")


def test_the_next_sample_shows_only_when_the_decision_is_on_disk(opened, queue_server):
    page = opened("queue", queue_server, slow=0.5)
    for i in range(3):
        page.keyboard.press("k")
        while shown(page) == f"s{i}":
            written = len(steps(queue_server))
        assert len(steps(queue_server)) == i + 1
        assert written >= i


def test_undo_redo_and_looking_back(opened, queue_server):
    page = opened("queue", queue_server)
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
    page = opened("queue", queue_server)
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
    page.keyboard.press("Enter")
    page.keyboard.press("u")
    until(lambda: shown(page) == "s5")
    assert [row[1:] for row in steps(queue_server)] == [
        ("s0", "relabel", "class 1", ""),
        ("s1", "relabel", "class 3", ""),
        ("s2", "keep", None, ""),
        ("s3", "relabel", "class 1", ""),
        ("s4", "unsure", None, "looks like rk"),
    ]


def test_escape_leaves_a_note_as_it_was_and_enter_saves_it(opened, queue_server):
    page = opened("queue", queue_server)
    page.keyboard.press("n")
    page.keyboard.type("no")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("ArrowLeft")
    until(lambda: "looking back" in page.locator(".position").inner_text())
    page.keyboard.press("n")
    page.keyboard.type("blurred")
    page.keyboard.press("Enter")
    until(lambda: len(steps(queue_server)) == 2)
    assert [row[1:] for row in steps(queue_server)] == [("s0", "keep", None, ""), ("s0", "keep", None, "blurred")]


def test_a_picture_is_large_and_zooms(opened, queue_server):
    page = opened("queue", queue_server)
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    frame, image = page.locator(".stage .picture"), page.locator(".stage img")
    look = "(node) => [getComputedStyle(node).imageRendering, getComputedStyle(node).filter]"
    assert frame.bounding_box()["width"] > 400
    assert image.evaluate(look) == ["auto", "contrast(1)"]
    frame.hover()
    page.mouse.wheel(0, -400)
    until(lambda: image.bounding_box()["width"] > 1.5 * frame.bounding_box()["width"])
    before = image.bounding_box()["x"]
    page.mouse.down()
    page.mouse.move(10, 300, steps=4)
    page.mouse.up()
    assert image.bounding_box()["x"] < before
    page.keyboard.press("c")
    assert image.evaluate(look)[1] == "contrast(1.7)"
    for _ in range(4):
        page.keyboard.press("-")
    assert image.bounding_box()["width"] == frame.bounding_box()["width"]


def test_buttons_do_what_the_keys_do(opened, queue_server):
    page = opened("queue", queue_server)
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
    page = opened("queue", queue_server)
    page.get_by_label("Elsewhere").fill("")
    page.get_by_label("Elsewhere").press_sequentially("kru1")
    page.keyboard.press("Tab")
    page.wait_for_timeout(500)
    page.locator("section.review").focus()
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    assert len(steps(queue_server)) == 1


def test_a_refused_decision_is_explained_and_the_sample_stays(opened, queue_server):
    page = opened("queue", queue_server)
    page.get_by_role("button", name="class 4").wait_for()
    page.keyboard.press("5")
    until(lambda: "The last class is refused." in page.locator(".state").inner_text())
    assert shown(page) == "s0"
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")


def test_nothing_is_lost_when_the_server_is_killed(opened, mortal_server):
    page = opened("queue", mortal_server)
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("r")
    mortal_server.kill()
    for key in "uk":
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    mortal_server.start()
    until(lambda: len(steps(mortal_server)) == 4, 40)
    until(lambda: shown(page) == "s4", 40)
    page.keyboard.press("k")
    until(lambda: shown(page) == "s5", 20)
    assert [row[1:3] for row in steps(mortal_server)] == [
        ("s0", "keep"), ("s1", "remove"), ("s2", "unsure"), ("s3", "keep"), ("s4", "keep"),
    ]  # fmt: skip


def test_nothing_is_lost_when_the_page_is_reloaded_before_it_was_saved(opened, mortal_server):
    page = opened("queue", mortal_server)
    mortal_server.kill()
    for key in "kru":
        page.keyboard.press(key)
    mortal_server.start()
    page.reload()
    until(lambda: len(steps(mortal_server)) == 3, 40)
    until(lambda: shown(page) == "s3", 20)
    page.wait_for_timeout(2000)
    assert [row[1:3] for row in steps(mortal_server)] == [("s0", "keep"), ("s1", "remove"), ("s2", "unsure")]


def test_the_server_learns_where_the_person_stops(opened, queue_server):
    page = opened("queue", queue_server)
    for i in range(3):
        page.keyboard.press("k")
        until(lambda i=i: shown(page) == f"s{i + 1}")
    page.get_by_text("resting at s3").wait_for(timeout=10_000)


def test_samples_are_shown_as_plain_text(opened, queue_server):
    page = opened("queue", queue_server)
    text = page.locator(".stage").inner_text()
    assert "<img src=x" in text
    assert "**bold**" in text
    assert page.locator(".stage img").count() == 0
    page.keyboard.press("k")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("k")
    until(lambda: shown(page) == "s2")
    assert page.locator(".stage .text").evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    assert page.title() != "hacked"


def test_help_lists_the_keys(opened, queue_server):
    page = opened("queue", queue_server)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    sheet.wait_for()
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    until(lambda: shown(page) == "s1")
    assert [row[2] for row in steps(queue_server)] == ["remove"]


def test_a_thousand_classes(opened, tmp_path):
    many = Server(PAGE, tmp_path, PAGE_CLASSES="1000").start()
    page = opened("queue", many)
    buttons = page.locator(".classes button")
    until(lambda: buttons.count() == 9)
    assert "class 1" in buttons.first.inner_text()
    page.keyboard.press("/")
    page.keyboard.type("997")
    page.keyboard.press("Enter")
    until(lambda: shown(page) == "s1")
    page.keyboard.press("1")
    until(lambda: shown(page) == "s2")
    assert [row[3] for row in steps(many)] == ["class 997", "class 2"]
    labels = opened("map", many)
    labels.get_by_text("label", exact=True).first.click()
    labels.get_by_text("980 others").click()
    labels.keyboard.type("997")
    labels.keyboard.press("Enter")
    labels.locator(".legend", has_text="class 997").wait_for()
    assert labels.locator(".legend li").count() == 21
    many.kill()
