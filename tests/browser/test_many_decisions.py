"""In Chromium: a filter is put together in one go, and all that is flagged is decided and exported."""

import io
import json
import re
import zipfile

import pytest
from app_runs import image_run
from conftest import settle, shot, visit
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


def test_one_undo_takes_all_of_it_back(page, server, runs):
    run = image_run(runs, "undone at once")
    visit(page, server, "explore?run=undone+at+once&filters=%7B%22given%22%3A%222%22%7D")
    page.get_by_role("button", name=re.compile("^Decide on all")).focus()
    page.keyboard.press("Enter")
    settle(page)
    page.get_by_text(re.compile("^All .* in the filter$")).click()
    page.get_by_text("Keep", exact=True).last.click()
    settle(page)
    page.get_by_role("button", name=re.compile("^Keep: ")).click()
    settle(page)
    store = ReviewStore(run.review)
    assert store.counts()["keep"] == int((ScoredRun(run.path).given == 2).sum())
    page.get_by_role("button", name="Undo").click()
    settle(page)
    assert store.counts()["keep"] == 0
    store.close()
