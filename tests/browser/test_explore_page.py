"""The map and its linked views in real Chromium."""

import json
import re
from urllib.parse import parse_qs, urlparse

import pytest
from conftest import barriers, settle, shot, visit

pytestmark = pytest.mark.browser


COUNT_DRAWN = """
window.drawn = [];
const draw = WebGL2RenderingContext.prototype.drawArrays;
WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
  window.drawn.push(count);
  return draw.call(this, mode, first, count);
};
"""


def address(page):
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def facts(page):
    return page.locator("p.oga-quiet").first.inner_text()


def begin(page, server, path):
    visit(page, server, path)
    # The slider has a value from the moment that the points have arrived.
    page.locator("[role=slider][aria-valuenow]").wait_for(timeout=60_000)


def test_the_threshold_is_dragged_in_the_browser(page, server):
    begin(page, server, "explore?run=digits")
    handle = page.get_by_role("slider", name="Threshold")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_url("**flagged=**", timeout=20_000)
    settle(page)
    assert f"{int(address(page)['flagged']):,} flagged" in facts(page)
    assert int(address(page)["flagged"]) != 12


def test_the_map_is_drawn_once_when_it_opens(page, server):
    page.add_init_script(COUNT_DRAWN)
    begin(page, server, "explore?run=digits")
    page.wait_for_timeout(500)  # what is laid out late would draw it again, which takes a software renderer long
    assert page.evaluate("() => window.drawn.filter((count) => count === 120).length") == 1


def test_a_box_on_the_map_filters_every_view(page, server):
    begin(page, server, "explore?run=digits")
    page.get_by_role("button", name=re.compile("^Box")).click()
    canvas = page.locator(".surface").bounding_box()
    page.mouse.move(canvas["x"] + 5, canvas["y"] + 5)
    page.mouse.down()
    page.mouse.move(canvas["x"] + canvas["width"] - 5, canvas["y"] + canvas["height"] - 5, steps=8)
    page.mouse.up()
    settle(page)
    chip = page.get_by_role("button", name=re.compile("selected on the map"))
    chip.wait_for(timeout=10_000)
    assert len(json.loads(address(page)["filters"])["polygon"]) >= 4
    assert page.get_by_text(re.compile(r"\d+ of 120 samples")).is_visible()
    shot(page, "explore-selection")
    chip.click()
    page.wait_for_function("() => !location.search.includes('filters')", timeout=30_000)
    settle(page)
    assert "filters" not in address(page)


def test_a_cell_of_the_matrix_filters_by_both_labels(page, server):
    begin(page, server, "explore?run=digits")
    page.get_by_text("Confused pairs", exact=True).click()
    settle(page)
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": table.bounding_box()["width"] * 0.5, "y": 35 * 2.5})
    settle(page)
    filters = json.loads(address(page)["filters"])
    assert set(filters) == {"given", "predicted"}
    assert filters["given"] == "1"
    shot(page, "explore-matrix")


def test_a_pair_opens_as_a_queue_with_two_large_keys(page, server, runs):
    from app_runs import image_run

    from oga_core.review import ReviewStore

    image_run(runs, "paired")
    begin(page, server, "explore?run=paired")
    page.get_by_text("Confused pairs", exact=True).click()
    settle(page)
    page.get_by_test_id("stDataFrame").nth(1).click(position={"x": 18, "y": 35 * 1.5})
    settle(page)
    given, other = (json.loads(address(page)["filters"])[name] for name in ("given", "predicted"))
    page.get_by_role("button", name=re.compile("^Review these")).click()
    page.wait_for_url("**/review**")
    settle(page)
    keys = page.locator(".pair-keys button")
    keys.first.wait_for(timeout=30_000)
    assert keys.all_text_contents() == [f"f{given}", f"j{other}"]
    assert barriers(page) == {}
    shot(page, "review-pair")
    page.keyboard.press("j")
    page.locator(".state", has_text="Saved.").wait_for(timeout=30_000)
    store = ReviewStore(runs / "paired" / "review.sqlite")
    [decision] = store.decisions().values()
    assert (decision.action, decision.new_label) == ("relabel", other)
    store.close()


def test_a_sample_opens_from_the_grid_and_is_decided(page, server, runs):
    from app_runs import image_run

    from oga_core.review import ReviewStore

    image_run(runs, "opened")
    begin(page, server, "explore?run=opened")
    tile = page.get_by_role("option").first
    tile.scroll_into_view_if_needed()
    tile.dblclick()
    page.get_by_role("dialog").wait_for(timeout=10_000)
    settle(page)
    shot(page, "explore-detail")
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    settle(page)
    store = ReviewStore(runs / "opened" / "review.sqlite")
    assert store.counts()["remove"] == 1
    store.close()


def test_many_samples_are_decided_at_once(page, server, runs):
    from app_runs import image_run

    from oga_core.review import ReviewStore

    image_run(runs, "bulk")
    begin(page, server, "explore?run=bulk")
    page.get_by_role("button", name="Select all on this page").click()
    page.get_by_role("option").first.focus()
    page.keyboard.press("r")
    page.get_by_role("button", name=re.compile("^(Remove|Confirm|Yes)")).last.click()
    settle(page)
    store = ReviewStore(runs / "bulk" / "review.sqlite")
    assert store.counts()["remove"] == 60
    assert len(store.history()) == 1
    store.close()
