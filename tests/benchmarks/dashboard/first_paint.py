"""How soon Explore shows in a browser that was just started and in one that has seen it, beside an empty page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, Page

from dashboard.browser import CLOCKS, PATIENCE, cpu, map_painted, served, shows
from dashboard.reviewers import APP

EMPTY = 'import streamlit as st\n\nst.html("<p class=drawn>drawn</p>")\n'
_REST = 0.03
"""Processor seconds a second of a server that has nothing left to prepare."""


def measure_first_paint(launch: Callable[[], Browser], run: Path) -> dict[str, dict[str, float]]:
    """Seconds, and processor seconds of browser and server, from the address to the paint; servers rest before."""
    script = run.parent / "empty_page.py"
    script.write_text(EMPTY, encoding="utf-8")
    explore = f"/explore?{urlencode({'run': run.name})}"
    return {
        **_visits("explore", launch, (APP, "--run", str(run)), explore, map_painted),
        **_visits("empty", launch, (script,), "/", lambda page: shows(page, ".drawn")),
    }


def _visits(
    name: str, launch: Callable[[], Browser], app: tuple[Path | str, ...], path: str, painted: Callable[[Page], object]
) -> dict[str, dict[str, float]]:
    script, *arguments = app
    with served(Path(script), *map(str, arguments)) as url:
        while _at_work() > _REST:
            pass
        browser = launch()
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        _at_work()
        paints = {f"{name}_{kind}": _paint(context, url + path, painted) for kind in ("cold", "warm", "warm_again")}
        browser.close()
    return paints


def _at_work() -> float:
    before = cpu()
    time.sleep(1)
    return cpu() - before


def _paint(context: BrowserContext, address: str, painted: Callable[[Page], object]) -> dict[str, float]:
    busy, begun = cpu(), time.perf_counter()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(CLOCKS)
    page.goto(address)
    painted(page)
    took, work = time.perf_counter() - begun, cpu() - busy
    page.wait_for_timeout(3000)
    page.close()
    return {"s": round(took, 2), "cpu_s": round(work, 2)}
