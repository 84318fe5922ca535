"""Tags of words in real Chromium: from an upload to other tags in the file that is taken home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import drop, queue, score, shot, visit
from tagged_runs import save_tagger, sentences, write_conll

from oga_core.review.store import standing_decisions

pytestmark = pytest.mark.browser


def test_tags_from_an_upload_to_the_file_with_other_tags(page, desk, tmp_path):
    data = sentences(n=80)
    model = shutil.make_archive(str(tmp_path / "tagger"), "zip", save_tagger(tmp_path / "model", data, epochs=20))
    conll = write_conll(tmp_path / "sentences.conll", data)
    visit(page, desk, "run")
    drop(page, conll, Path(model))
    page.get_by_text("Words with tags").first.wait_for(timeout=60_000)
    score(page, desk, "tagged")
    visit(page, desk, "review?run=tagged")
    queue(page).wait_for(timeout=60_000)
    assert page.locator(".tagged .worst").count() == 1
    shot(page, "review-tags")
    page.keyboard.press("s")
    queue(page).filter(has_text="1 of").wait_for(timeout=60_000)
    page.keyboard.press("v")
    page.locator(".word-tags select").first.select_option("I-LOC")
    page.keyboard.press("Enter")
    queue(page).filter(has_text="2 of").wait_for(timeout=60_000)
    made = standing_decisions(desk.folder / "tagged" / "review.sqlite")
    assert any(decision.new_label.startswith("I-LOC | ") for decision in made.values())
    visit(page, desk, "export?run=tagged")
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    download.value.save_as(tmp_path / "fixed.conll")
    after = (tmp_path / "fixed.conll").read_text().strip().split("\n\n")
    before = conll.read_text().strip().split("\n\n")
    changed = {i: [line.split("\t")[1] for line in after[i].splitlines()] for i in range(80) if after[i] != before[i]}
    assert changed == {int(name): decision.new_label.split(" | ") for name, decision in made.items()}
