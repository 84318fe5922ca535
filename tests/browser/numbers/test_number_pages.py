"""A table of numbers in real Chromium: from an upload to new values in the table that is taken home."""

from __future__ import annotations

import pytest
from conftest import drop, on_a_phone, queue, score, settle, shot, visit
from number_runs import package, prices, trained, write_csv

from oga_core.review.store import standing_decisions

pytestmark = pytest.mark.browser


def test_numbers_from_an_upload_to_the_table_with_new_values(page, desk, tmp_path):
    rows, _, given = prices()
    files = write_csv(tmp_path / "prices.csv", rows, given), package(tmp_path / "m.pt2", trained(rows, given), given)
    visit(page, desk, "run")
    drop(page, *files)
    page.get_by_role("combobox", name="Label column").click()
    page.keyboard.type("price")
    page.get_by_role("option", name="price").click()
    settle(page)
    page.get_by_text("numbers from").first.wait_for(timeout=60_000)
    score(page, desk, "prices")
    visit(page, desk, "explore?run=prices")
    page.get_by_text("Given and predicted", exact=True).click()
    settle(page)
    page.locator(".js-plotly-plot").nth(1).wait_for(timeout=60_000)
    visit(page, desk, "review?run=prices")
    queue(page).wait_for(timeout=60_000)
    assert page.locator(".distribution .mark").count() == 2
    shot(page, "review-number")
    on_a_phone(page, "review-number")
    page.keyboard.press("v")
    page.get_by_role("textbox", name="New value").fill("123.4")
    page.keyboard.press("Enter")
    queue(page).filter(has_text="1 of").wait_for(timeout=60_000)
    page.keyboard.press("s")
    queue(page).filter(has_text="2 of").wait_for(timeout=60_000)
    made = standing_decisions(desk.folder / "prices" / "review.sqlite")
    assert "123.4" in {decision.new_label for decision in made.values()}
    visit(page, desk, "export?run=prices")
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    download.value.save_as(tmp_path / "fixed.csv")
    before = files[0].read_text().splitlines()
    after = (tmp_path / "fixed.csv").read_text().splitlines()
    changed = {row[:4]: row.rsplit(",", 1)[1] for row, old in zip(after, before, strict=True) if row != old}
    assert changed == {name: decision.new_label for name, decision in made.items()}
