"""The main job in real Chromium: data and model in, ten decisions, the decided table out."""

import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from conftest import drop, give, queue, score, settle, shot, start_scoring, visit

import oga_sample_data
from oga_core.runs.folder import RunFolder

pytestmark = pytest.mark.browser

SAMPLES = Path(oga_sample_data.__path__[0])


def damaged(model: bytes) -> bytes:
    """A model whose card can be read and whose weights cannot."""
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        weights = max(archive.infolist(), key=lambda info: info.file_size * ("data/weights" in info.filename))
        start = model.index(archive.read(weights))
    return model[:start] + bytes([model[start] ^ 1]) + model[start + 1 :]


def test_from_paths_to_an_export_with_ten_decisions(page, desk, tmp_path):
    visit(page, desk, "run")
    give(page, SAMPLES / "digits.zip", SAMPLES / "digits.pt2")
    page.get_by_text("1,797 images, 10 classes").wait_for(timeout=60_000)
    assert page.locator(".oga-pictures img").count() == 8
    shot(page, "run-form")
    score(page, desk, "first run")
    shot(page, "run-done")
    visit(page, desk, "review?run=first+run")
    queue(page).wait_for(timeout=60_000)
    for key in "krukrskuru":
        page.keyboard.press(key)
        page.wait_for_timeout(250)
    queue(page).filter(has_text="10 of").wait_for(timeout=60_000)
    page.reload()
    settle(page)
    queue(page).filter(has_text="10 of").wait_for(timeout=60_000)
    visit(page, desk, "export?run=first+run")
    page.get_by_role("combobox", name="Format").click()
    page.get_by_role("option", name="Table as CSV").click()
    settle(page)
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    download.value.save_as(tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert (table["action"] != "").sum() == 10
    shot(page, "export-done")


def test_uploads_are_scored_too(page, desk):
    visit(page, desk, "run")
    drop(page, SAMPLES / "tumours.pt2", SAMPLES / "tumours.csv")
    page.locator(".oga-classes").get_by_text("benign").wait_for(timeout=60_000)
    assert page.get_by_role("combobox", name="Label column").input_value() == "diagnosis"
    score(page, desk, "uploaded")
    data = RunFolder.open(desk.folder / "uploaded").info.data.path
    assert Path(data).is_relative_to((desk.folder / "uploaded" / "uploads").resolve())


def test_what_is_wrong_is_said_and_nothing_is_lost(page, desk, tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04 not a model")
    (tmp_path / "model.pt2").write_bytes(damaged((SAMPLES / "digits.pt2").read_bytes()))
    visit(page, desk, "run")
    give(page, SAMPLES / "digits.zip", tmp_path / "model.pkl")
    page.get_by_text("model.pkl is a pickle").wait_for(timeout=60_000)
    assert page.get_by_role("button", name="Start scoring").is_disabled()
    shot(page, "run-blocked")
    give(page, SAMPLES / "digits.zip", tmp_path / "model.pt2")
    page.locator(".oga-classes").get_by_text("nine").wait_for(timeout=60_000)
    start_scoring(page, "broken")
    page.get_by_text("Scoring failed").wait_for(timeout=120_000)
    assert "model.pt2 is damaged" in page.locator(".oga-problem").first.inner_text()
    assert json.loads((desk.folder / "broken" / "run.json").read_text())["status"] == "failed"
    shot(page, "run-failed")
