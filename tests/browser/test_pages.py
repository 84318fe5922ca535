"""Every page in real Chromium: it draws, fits its window, can be used by everybody, and is kept as a screenshot."""

import shutil
from urllib.parse import urlencode

import pytest
from app_runs import ODD_CLASSES, image_run
from conftest import barriers, settle, shot, visit

from oga_app.background.samples import SAMPLE_DATA

pytestmark = pytest.mark.browser

PAGES = ("run", "explore", "review", "compare", "export")


@pytest.mark.parametrize("page_name", PAGES)
@pytest.mark.parametrize(("look", "width"), [("light", 1440), ("dark", 1440), ("light", 390)])
def test_every_page_fits_in_every_look_and_has_no_barriers(page, server, page_name, look, width):
    page.set_viewport_size({"width": width, "height": 1000})
    page.emulate_media(color_scheme=look)
    visit(page, server, f"{page_name}?run=digits")
    page.wait_for_timeout(500)
    sizes = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return [m.scrollWidth, m.clientWidth]; }"
    )
    assert sizes[0] <= sizes[1]
    assert page.locator(".oga-problem").count() == 0
    shot(page, f"{page_name}-{look}-{width}")
    assert page.locator(".oga-brand").inner_text().split() == ["OGA", "digits"]
    if (page_name, width) == ("review", 390):
        keep = page.get_by_role("button", name="Keep").bounding_box()
        assert keep["y"] + keep["height"] <= 1000  # of the window: the verdicts are on a phone's first screen
    if page_name == "explore":
        page.locator("[role=slider][aria-valuenow]").first.wait_for(timeout=60_000)
    assert barriers(page) == {}


@pytest.mark.parametrize("run", ["texts", "table", "prompts", "odd labels"])
def test_every_kind_of_run_draws_and_nothing_is_fetched_from_outside(page, server, run):
    """Texts hold Markdown images and script tags: none may be fetched or run."""
    requests, dialogs = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for name in PAGES:
        visit(page, server, f"{name}?run={run}")
        assert page.locator(".oga-problem").count() == 0
        shot(page, f"{name}-{run.replace(' ', '_')}")
    ours = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in requests if not url.startswith(ours)] == []
    assert dialogs == []


TOO_WIDE = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  if (main.scrollWidth <= main.clientWidth) return [];
  const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const wide = all(main).filter((e) => e.getBoundingClientRect().right > main.clientWidth);
  return wide.map((e) => e.outerHTML.slice(0, 120)).slice(-12);
}"""


def test_long_and_foreign_names_fit_on_a_phone_in_the_dark(page, server, runs):
    """A class of 60 letters, Arabic, Chinese and emoji, in a run whose name has 80."""
    name = ("a run that somebody named after everything that it was made from and for v2 " + "x" * 80)[:80]
    odd = image_run(runs, name, ODD_CLASSES)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    for each in (*PAGES, "help"):
        visit(page, server, f"{each}?{urlencode({'run': name, 'flagged': 30})}")
        page.wait_for_timeout(500)
        shot(page, f"odd-{each}-dark-390")
        assert page.locator(".oga-problem").count() == 0
        assert page.evaluate(TOO_WIDE) == [], each
        assert barriers(page) == {}, each
    shutil.rmtree(odd.path)


def test_empty_and_failed_states(page, server):
    for name in PAGES[1:]:
        visit(page, server, name)
        assert page.locator(".oga-empty").count() == 1
    shot(page, "empty")
    visit(page, server, "explore?run=nothing")
    assert page.get_by_text("There is no run 'nothing'").is_visible()
    shot(page, "failed")


def test_no_clutter_of_streamlit(page, server):
    visit(page, server, "explore?run=digits")
    for name in ("stAppDeployButton", "stMainMenu", "stDecoration"):
        assert not page.get_by_test_id(name).is_visible()


def test_pages_are_reached_by_keyboard(page, server):
    visit(page, server, "run?run=digits")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent.trim()") == "Explore":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/explore**")
    settle(page)
    assert page.locator("h1.oga").inner_text() == "Explore"


def test_a_block_says_what_it_is_by_keyboard(page, server):
    visit(page, server, "explore?run=digits")
    mark = page.get_by_role("button", name="Histogram")
    mark.focus()
    page.keyboard.press("Enter")
    told = page.get_by_text("the axis says how likely the labels there are wrong")
    told.wait_for()
    assert barriers(page) == {}
    page.keyboard.press("Escape")
    told.wait_for(state="hidden")


def press_until(page, words):
    """Go on by Tab to the button that says so, unless the focus is on it, and press it."""
    for _ in range(40):
        if page.evaluate("() => document.activeElement.textContent.trim()") == words:
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way by Tab to {words!r}")


def test_the_tour_is_walked_by_keyboard(page, server, runs):
    sample = image_run(runs, "tour")
    sample.update(data={**sample.info.as_json()["data"], "path": str(SAMPLE_DATA / "digits.zip")})
    visit(page, server, "run")
    press_until(page, "Take the tour")
    for number, name in enumerate(PAGES[1:], start=2):
        settle(page)
        press_until(page, f"Next: {name.capitalize()}")
        page.get_by_text(f"Tour, {number} of 5").wait_for()
    settle(page)
    press_until(page, "End the tour")
    page.get_by_text("Tour, 5 of 5").wait_for(state="hidden")
    assert page.url.split("?")[0].endswith("/export")
    shutil.rmtree(sample.path)
