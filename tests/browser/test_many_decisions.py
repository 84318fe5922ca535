"""In Chromium: a filter is put together in one go, and all that is flagged is decided and exported."""

import io
import json
import re
import zipfile

import pytest
from app_runs import image_run
from conftest import barriers, settle, shot, visit
from test_explore_page import address

from oga_core.review import ReviewStore
from oga_core.runs.scored import ScoredRun

pytestmark = pytest.mark.browser


def test_the_filter_stays_open_while_choosing(page, server):
    visit(page, server, "explore?run=digits")
    page.get_by_role("button", name="Filter", exact=True).click()
    for label, option in (("Given label", "3"), ("Prediction", "another label")):
        box = page.get_by_test_id("stPopoverBody").get_by_role("combobox", name=label, exact=True)
        box.click()
        page.get_by_role("option", name=option, exact=True).click()
        settle(page)
        assert box.is_visible()
    assert json.loads(address(page)["filters"]) == {"given": "3", "prediction": "another label"}
    shot(page, "filter-open")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^predicted: another label")).click()
    settle(page)
    assert json.loads(address(page)["filters"]) == {"given": "3"}


def test_a_range_is_set_by_keyboard_and_the_filter_stays_open(page, server):
    visit(page, server, "explore?run=digits")
    page.get_by_role("button", name="Filter", exact=True).click()
    handle = page.get_by_test_id("stPopoverBody").get_by_role("slider").first
    handle.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**score_range**", timeout=20_000)
    settle(page)
    score, low, high = json.loads(address(page)["filters"])["score_range"]
    assert (score, low < high) == ("loss", True)
    assert handle.is_visible()
    assert barriers(page) == {}
    shot(page, "filter-range")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => !location.search.includes('score_range')", timeout=20_000)


def test_a_word_in_the_samples_filters(page, server):
    visit(page, server, "explore?run=texts")
    page.get_by_role("button", name="Filter", exact=True).click()
    field = page.get_by_role("textbox", name="What the sample holds")
    field.fill("number 7")
    field.press("Enter")
    settle(page)
    assert page.get_by_text(re.compile("11 of 80 samples")).is_visible()


def test_all_flagged_are_relabelled_and_exported_in_four_clicks(page, server, runs):
    run = image_run(runs, "four clicks")
    data = ScoredRun(run.path)
    suggested = int((data.suggestions[data.order("loss")[:12]] >= 0).sum())
    visit(page, server, "explore?run=four+clicks")
    page.get_by_role("button", name="Decide on all 12 flagged").click()
    settle(page)
    shot(page, "decide-on-many")
    page.get_by_role("button", name=f"Take each one's own suggestion: {suggested}").click()
    settle(page)
    page.get_by_role("button", name="Export the fixed data set").click()
    page.wait_for_url("**/export**")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    shot(page, "export-fixed")
    content = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert len(set(content.namelist()) - set(data.ids)) == suggested > 5


FOCUSED = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element || element === document.body) return "";
  return (element.getAttribute("aria-label") || element.closest("label")?.innerText || element.innerText).slice(0, 60);
}"""


def reach(page, words):
    """Go on by Tab to what says so, unless the focus is on it."""
    ways = []
    for _ in range(70):
        ways.append(page.evaluate(FOCUSED))
        if re.search(words, ways[-1]):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way by Tab to {words!r}: {ways}")


def choose(page, words):
    """Go to the next choices, and on by the arrow to the one that says so."""
    for _ in range(6):
        page.keyboard.press("ArrowDown")
        settle(page)
        if re.search(words, page.evaluate(FOCUSED)):
            return
    raise AssertionError(f"the arrows do not lead to {words!r}: {page.evaluate(FOCUSED)}")


def carry_out(page, verb, *, count="", picture):
    """Choose in the dialog what is to be done, and confirm it, by keyboard."""
    reach(page, "own suggestion$")
    choose(page, f"^{verb}$")
    shot(page, picture)
    reach(page, f"{verb}: {count}")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="hidden")
    settle(page)


def test_all_is_decided_and_taken_back_by_keyboard_alone(page, server, runs):
    run = image_run(runs, "keyboard alone")
    store = ReviewStore(run.review)
    visit(page, server, "explore?run=keyboard+alone&flagged=60&filters=%7B%22given%22%3A%222%22%7D")
    reach(page, "Decide on all")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    settle(page)
    reach(page, "^The .* flagged in the filter$")
    choose(page, "^All .* in the filter$")
    carry_out(page, "Keep", picture="decide-by-keyboard")
    assert store.counts()["keep"] == int((ScoredRun(run.path).given == 2).sum())
    reach(page, "Undo$")
    page.keyboard.press("Enter")
    settle(page)
    assert store.counts()["keep"] == 0
    reach(page, "^\\d{4}|\\.png")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    settle(page)
    reach(page, "Decide on samples like this one too")
    page.keyboard.press("Enter")
    settle(page)
    reach(page, "How many like it")
    page.keyboard.press("ArrowLeft")
    settle(page)
    carry_out(page, "Remove", count="12", picture="alike-by-keyboard")
    assert store.counts()["remove"] == 12
    store.close()
