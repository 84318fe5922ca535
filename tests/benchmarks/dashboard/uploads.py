"""The whole way in headless Chromium, from files dropped on an empty Run page to an export; prints JSON.

    python tests/benchmarks/dashboard/uploads.py [photographs sentences table odd] [--samples 600]

Photographs come with a table of labels, weights and a card; sentences with a zipped folder of a model; the table with a
label column of an unusual name. `odd` is only looked at: Arabic, a class name of 60 characters, a file that is nothing.
The first two need the shared data sets (OGA_SHARED_DATA). OGA_ARTIFACTS names a folder for screenshots, light and dark,
1440 and 390 pixels wide. barriers: what axe finds serious; wide: pages that are wider than the window.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "app"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "browser"))

from app_server import Server
from conftest import barriers, drop, settle, shot, visit
from playwright.sync_api import Page, sync_playwright

import oga_sample_data

SHARED = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).resolve().parents[3].parent / "shared" / "data"))
SAMPLES = Path(oga_sample_data.__path__[0])
LOOKS = (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390))
PATIENCE = 400_000  # milliseconds


def files_of(kind: str, folder: Path) -> list[Path]:
    """The files that a person drops."""
    if kind == "photographs":
        names = ("images.zip", "labels_worse.csv", "model_worse.safetensors", "model_worse.json")
        return [SHARED / "cifar10n" / name for name in names]
    if kind == "sentences":
        model = shutil.make_archive(str(folder / "model"), "zip", SHARED / "sst2" / "model_flip20")
        return [SHARED / "sst2" / "train_flip20.csv", Path(model)]
    if kind == "table":
        return [SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2"]
    labels = ("عنب أحمر", "a class name of sixty characters, as long as that takes it ok")
    rows = "".join(f'{i},"نص {i} <b>",{labels[i % 2]!r}\n' for i in range(40))
    (folder / "نصوص.csv").write_text("id,text,label\n" + rows.replace("'", '"'), encoding="utf-8")
    (folder / "notes.docx").write_bytes(b"words")
    return [folder / "نصوص.csv", folder / "notes.docx"]


def look(page: Page, name: str, seen: dict[str, Any]) -> None:
    """Screenshots in every look, what axe finds in the last, and whether anything is wider than the window."""
    for look, width in LOOKS:
        page.emulate_media(color_scheme=look)
        page.set_viewport_size({"width": width, "height": 1000})
        settle(page)
        shot(page, f"{name}-{look}-{width}")
        main = page.get_by_test_id("stMain")
        if main.evaluate("main => main.scrollWidth > main.clientWidth"):
            seen["wide"].append(f"{name}-{width}")
    seen["barriers"] |= {f"{name}: {rule}": nodes for rule, nodes in barriers(page).items()}
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 1000})
    settle(page)


def walk(page: Page, server: Server, kind: str, folder: Path, n_samples: int) -> dict[str, Any]:
    """From the files to an export, by what is on the pages alone."""
    seen: dict[str, Any] = {"barriers": {}, "wide": []}
    visit(page, server, "")
    begun = time.perf_counter()
    drop(page, *files_of(kind, folder))
    page.get_by_text("spread over the data").or_(page.locator(".oga-problem")).first.wait_for(timeout=PATIENCE)
    if kind == "table":
        page.get_by_role("combobox", name="Label column").click()
        page.keyboard.type("diagnosis")
        page.get_by_role("option", name="diagnosis").click()
        settle(page)
    page.get_by_text("spread over the data").wait_for(timeout=PATIENCE)
    settle(page)
    seen["seconds until read"] = round(time.perf_counter() - begun, 1)
    look(page, f"{kind}-filled", seen)
    if kind == "odd":
        return seen
    page.get_by_text("Options", exact=True).click()
    page.get_by_role("spinbutton", name="At most this many samples").fill(str(n_samples))
    page.keyboard.press("Tab")
    settle(page)
    page.get_by_role("button", name="Start scoring").click()
    ended = page.get_by_text("How this was computed").or_(page.get_by_text("Scoring failed"))
    page.get_by_role("button", name="Cancel").or_(ended).first.wait_for(timeout=PATIENCE)
    shot(page, f"{kind}-running")
    ended.first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=PATIENCE)
    settle(page)
    look(page, f"{kind}-done", seen)
    page.get_by_role("link", name="Export").first.click()
    page.locator("h1.oga").get_by_text("Export").wait_for(timeout=PATIENCE)
    settle(page)
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=PATIENCE)
    download.value.save_as(folder / f"{kind}.export")
    seen["export"] = {"name": download.value.suggested_filename, "bytes": (folder / f"{kind}.export").stat().st_size}
    seen["problems"] = page.locator(".oga-problem").all_inner_texts()
    return seen


def main() -> None:
    """Walk, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["photographs", "sentences", "table", "odd"])
    parser.add_argument("--samples", type=int, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        path = os.environ.get("OGA_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        result = {}
        for kind in options.kinds:
            folder = Path(scratch, kind)
            (folder / "runs").mkdir(parents=True)
            server = Server(folder / "runs")
            server.start()
            try:
                page = browser.new_page(viewport={"width": 1440, "height": 1000})
                result[kind] = walk(page, server, kind, folder, options.samples)
            finally:
                server.kill()
        browser.close()
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
