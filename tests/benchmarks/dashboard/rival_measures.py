"""What the map by Plotly and the keys of Streamlit itself cost, measured as ours are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError

from dashboard.browser import PATIENCE, Traffic, cpu, median, open_page, seconds, served

RIVALS = Path(__file__).with_name("rivals.py")
# Plotly puts a new object in place of the old data when it draws a new figure.
KEEP_DATA = "() => { window.drawn = document.querySelector('.js-plotly-plot').data; }"
DATA_IS_NEW = "() => document.querySelector('.js-plotly-plot')?.data !== window.drawn"


def measure_keys(browser: Browser, run: Path, presses: int) -> dict[str, Any]:
    """The same with a button's own shortcut on an empty page: what one press costs in Streamlit at the least."""
    with served(RIVALS, BENCHMARK_RUN=str(run)) as url:
        page = open_page(browser, url, way="keys")
        page.get_by_test_id("stText").wait_for()
        page.wait_for_timeout(2000)
        page.evaluate("() => window.watch('[data-testid=stText]')")
        for i in range(presses):
            page.keyboard.press("k")
            page.wait_for_function("(count) => window.shows.length > count", arg=i)
        pressed, painted = page.evaluate("() => [window.presses, window.shows]")
        before = int(page.get_by_test_id("stText").inner_text().split()[1])
        for _ in range(30):
            page.keyboard.press("k")
            page.wait_for_timeout(100)
        page.wait_for_timeout(3000)
        arrived = int(page.get_by_test_id("stText").inner_text().split()[1]) - before
        page.close()
    times = [(b - a) / 1000 for a, b in zip(pressed, painted, strict=False)]
    return {"key_to_next_painted_s": median(times), "of_30_at_ten_a_second": arrived}


def measure_plotly(browser: Browser, run: Path, way: str, rounds: int) -> dict[str, Any]:
    """First paint, threshold to redrawn and box selection of the map drawn by Plotly."""
    with served(RIVALS, BENCHMARK_RUN=str(run)) as url:
        begun = time.perf_counter()
        page = open_page(browser, url, way=way)
        page.locator(".js-plotly-plot .nsewdrag").first.wait_for()
        page.evaluate("() => window.painted('.gl-canvas-context')")
        result: dict[str, Any] = {"first_paint_s": round(time.perf_counter() - begun, 2)}
        traffic, times, sizes, selections, work = Traffic(page), [], [], [], []
        try:
            for _ in range(rounds):
                page.wait_for_timeout(1500)
                traffic.reset()
                busy = cpu()
                button = page.get_by_role("button", name="Next threshold")
                times.append(seconds(lambda button=button: _replotted(page, button)))
                sizes.append(traffic.bytes)
                work.append(cpu() - busy)
            plot = page.locator(".nsewdrag").first.bounding_box()
            assert plot
            x, y = plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2
            for turn in range(max(1, rounds // 2)):
                half = 40 + 12 * turn
                before_text = page.get_by_test_id("stText").inner_text()
                page.mouse.move(x - half, y - half)
                page.mouse.down()
                page.mouse.move(x + half, y + half, steps=4)
                selections.append(
                    seconds(
                        lambda text=before_text: (
                            page.mouse.up(),
                            page.wait_for_function(
                                "(text) => document.querySelector('[data-testid=stText]').innerText !== text", arg=text
                            ),
                        )
                    )
                )
                page.wait_for_timeout(1500)
        except TimeoutError:
            result["note"] = f"something did not finish in {PATIENCE // 1000} s"
        page.close()
    return result | {
        "threshold_to_redrawn_s": median(times),
        "threshold_to_redrawn_cpu_s": median(work),
        "selection_s": median(selections),
        "bytes_per_threshold_change": int(median([float(size) for size in sizes]) or 0),
    }


def _replotted(page: Page, button: Any) -> None:
    page.evaluate(KEEP_DATA)
    button.click()
    page.wait_for_function(DATA_IS_NEW)
    page.evaluate("() => window.painted('.gl-canvas-context')")
