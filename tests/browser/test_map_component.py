"""The map and its histogram in real headless Chromium, on pages of their own."""

from __future__ import annotations

import io
import os
import re
import shutil

import numpy as np
import pytest
from component_probes import Traffic, until
from PIL import Image

pytestmark = pytest.mark.browser

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


def test_where_every_fourth_sample_is_drawn_all_are_counted_and_selected(opened):
    page = opened("map", n=2000, drawn=1000)
    assert "of 2,000 flagged" in page.locator("output.readout").inner_text()
    page.get_by_role("button", name="Flag 100").click()
    until(lambda: count_shown(page) == 100)
    page.locator(".surface").press("n")
    page.locator(".surface").press("n")
    assert "rank 5, flagged" in page.locator("[aria-live=polite]").first.inner_text()
    page.keyboard.press("Enter")
    until(lambda: known(page)["picked"] != "None")
    box = page.locator(".surface").bounding_box()
    page.get_by_role("button", name="Box: drag on the map").click()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    until(lambda: known(page)["selected"] == "2000")


def test_what_a_filter_leaves_out_is_faint_and_not_flagged(opened):
    page = opened("map")
    box = page.locator(".surface").bounding_box()
    x, y = box["width"] / 2, box["height"] / 2
    page.get_by_role("button", name="Box: drag on the map").click()
    page.mouse.move(box["x"] + x - 60, box["y"] + y - 60)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 60, box["y"] + y + 60, steps=4)
    page.mouse.up()
    until(lambda: "in the filter flagged" in page.locator(".readout").inner_text())
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)
    image = pixels(page)
    outside = image.copy()
    outside[int(y) - 64 : int(y) + 64, int(x) - 64 : int(x) + 64] = image[2, 2]
    assert warm(image) > 0
    assert warm(outside) == 0
    inked = np.abs(outside - image[2, 2]).max(axis=2)
    assert 0 < np.percentile(inked[inked > 0], 99) < 60
    assert count_shown(page) < 100


def test_the_histogram_names_its_axes(opened):
    page = opened("map")
    assert re.search("score.*logarithmic", page.locator(".axis").inner_text())
    assert page.locator(".samples span").all_inner_texts()[:2] == ["1", "10"]
    heights = page.locator(".scores span").evaluate_all("(ticks) => ticks.map((tick) => tick.offsetHeight)")
    assert (len(heights) >= 3, len(set(heights))) == (True, 1)  # each on one line


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
    assert re.match(r"class \d, rank [\d,]+, (not )?flagged", live)
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
    pictures = {pixels(page).tobytes()}
    for name in ("score", "label", "decision", "finding"):
        page.get_by_text(name, exact=True).first.click()
        until(lambda: pixels(page).tobytes() not in pictures)
        page.wait_for_timeout(500)
        pictures.add(pixels(page).tobytes())


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
    assert np.abs(pixels(page) - before).max() <= 1  # composed anew, a colour may be rounded the other way


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
