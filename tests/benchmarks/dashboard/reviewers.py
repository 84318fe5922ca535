"""Several reviewers at once through one server, and what they left on the disk."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

import oga_app
from dashboard.browser import open_page, served

APP = Path(oga_app.__file__).with_name("asgi_app.py")


def decided_at(run: Path) -> list[float]:
    """When each decision was written, in milliseconds since 1970."""
    if not (run / "review.sqlite").is_file():
        return []
    with contextlib.closing(sqlite3.connect(run / "review.sqlite")) as database:
        rows = database.execute("SELECT time FROM steps WHERE kind = 'decide' ORDER BY seq").fetchall()
    return [1000 * datetime.fromisoformat(row[0]).timestamp() for row in rows]


def measure_reviewers(browser: Browser, run: Path, people: int, presses: int) -> dict[str, Any]:
    """Several reviewers at once through one server, each in a browser page of their own."""
    with served(APP, "--run", str(run)) as url:
        pages = []
        for person in range(people):
            page = open_page(browser, f"{url}/review", run=run.name)
            page.locator(".position:not(:empty)").wait_for()
            page.get_by_test_id("stPopover").first.get_by_role("button").click()
            field = page.get_by_label("Your name, written to every decision")
            field.fill(f"reviewer {person}")
            field.press("Enter")
            page.wait_for_timeout(2000)
            page.keyboard.press("Escape")
            # The queue of the old name goes only when that of the new one has come.
            page.locator(".position:not(:empty)").last.wait_for()
            page.wait_for_timeout(2000)
            page.locator("section.review").focus()
            pages.append(page)
        before = len(decided_at(run))
        begun = time.perf_counter()
        for i in range(presses):
            for page in pages:
                page.keyboard.press("kru"[i % 3])
        deadline = time.monotonic() + 30 + presses
        while len(decided_at(run)) - before < people * presses and time.monotonic() < deadline:
            pages[0].wait_for_timeout(500)
        took = time.perf_counter() - begun
        for page in pages:
            page.close()
    with contextlib.closing(sqlite3.connect(run / "review.sqlite")) as database:
        twice = database.execute("SELECT COUNT(*) FROM (SELECT 1 FROM current GROUP BY sample_id HAVING COUNT(*) > 1)")
        doubled = twice.fetchone()[0]
    return {
        "reviewers": people,
        "presses_each": presses,
        "presses_lost": people * presses - (len(decided_at(run)) - before),
        "samples_decided_twice": doubled,
        "seconds": round(took, 1),
    }
