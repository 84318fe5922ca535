"""A table of several labels a row in real Chromium: from an upload to labels added and taken away in the lists."""

from __future__ import annotations

import json

import pytest
from conftest import drop, queue, score, settle, shot, visit
from label_runs import NAMES, package, scenes, trained, write_lists

from oga_core.review.store import standing_decisions
from oga_core.samples import labels_of

pytestmark = pytest.mark.browser


def test_labels_from_an_upload_to_the_lists_that_go_home(page, desk, tmp_path):
    rows, _, given = scenes()
    data = write_lists(tmp_path / "scenes.jsonl", rows[:150], given[:150])
    visit(page, desk, "run")
    drop(page, data, package(tmp_path / "m.pt2", trained(rows, given)))
    page.get_by_role("combobox", name="Label column").click()
    page.keyboard.type("tags")
    page.get_by_role("option", name="tags").click()
    settle(page)
    score(page, desk, "scenes")
    visit(page, desk, "review?run=scenes")
    queue(page).wait_for(timeout=60_000)
    page.locator(".position:not(:empty)").wait_for(timeout=60_000)  # keys are for a sample that is there
    page.keyboard.press("v")
    labels = page.get_by_role("group", name="New labels")
    labels.wait_for()
    before = labels.get_by_role("button", pressed=True).count()
    page.keyboard.press("1")
    page.keyboard.press("2")
    shot(page, "review-labels")
    wanted = {name.lstrip("0123456789") for name in labels.get_by_role("button", pressed=True).all_inner_texts()}
    assert len(wanted) in (before - 2, before, before + 2)
    page.keyboard.press("Enter")
    queue(page).filter(has_text="1 of").wait_for(timeout=60_000)
    (decision,) = standing_decisions(desk.folder / "scenes" / "review.sqlite").values()
    assert set(labels_of(str(decision.new_label))) == {name.strip() for name in wanted} <= set(NAMES)
    visit(page, desk, "export?run=scenes")
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    download.value.save_as(tmp_path / "fixed.jsonl")
    old, new = (
        [json.loads(line) for line in path.read_text().splitlines()] for path in (data, tmp_path / "fixed.jsonl")
    )
    changed = {row["id"]: row["tags"] for row, was in zip(new, old, strict=True) if row != was}
    assert changed == {decision.sample_id: labels_of(str(decision.new_label))}
