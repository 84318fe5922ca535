"""Masks in real Chromium: from an upload to the model's mask in the file that is taken home."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from conftest import drop, on_a_phone, queue, score, shot, visit
from mask_runs import members_of, packaged, trained, write_zip
from mask_sets import shapes

from oga_core.review.store import standing_decisions
from oga_core.samples import MODEL_MASK, REDO

pytestmark = pytest.mark.browser


def test_masks_from_an_upload_to_the_file_with_other_masks(page, desk, tmp_path):
    data = shapes(n=40)
    model = packaged(trained(data), tmp_path / "shapes.pt2")
    archive = write_zip(tmp_path / "pictures.zip", members_of(data))
    visit(page, desk, "run")
    drop(page, archive, model)
    page.get_by_text("Images with masks: the classes below are counted in 40 masks.").first.wait_for(timeout=60_000)
    score(page, desk, "masked")
    visit(page, desk, "explore?run=masked")
    page.get_by_text("how likely the mask is wrong").wait_for(timeout=60_000)
    shot(page, "explore-mask")
    visit(page, desk, "review?run=masked")
    queue(page).wait_for(timeout=60_000)
    layers = page.get_by_role("group", name="What lies over the picture")
    layers.wait_for()
    assert page.locator(".mask-classes li").all_inner_texts()[0] == "background"
    shot(page, "review-mask")
    on_a_phone(page, "review-mask", above=layers)
    page.keyboard.press("o")
    assert layers.get_by_role("button", pressed=True).inner_text() == "Model's mask"
    layers.get_by_role("button", name="Loss").click()
    page.get_by_text("The stronger the shade").wait_for()
    shot(page, "review-mask-loss")
    page.keyboard.press("s")
    queue(page).filter(has_text="1 of").wait_for(timeout=60_000)
    page.keyboard.press("2")
    queue(page).filter(has_text="2 of").wait_for(timeout=60_000)
    assert layers.get_by_role("button", pressed=True).inner_text() == "Loss"
    made = standing_decisions(desk.folder / "masked" / "review.sqlite")
    taken, again = (next(key for key, one in made.items() if one.new_label == label) for label in (MODEL_MASK, REDO))
    visit(page, desk, "export?run=masked")
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    download.value.save_as(tmp_path / "fixed.zip")
    before, after = members(archive), members(tmp_path / "fixed.zip")
    assert {name for name in before if before[name] != after[name]} == {taken.replace("images", "masks")}
    assert again in after["masks_to_redo.csv"].decode()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}
