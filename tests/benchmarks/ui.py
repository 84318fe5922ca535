"""How fast the dashboard is, in real headless Chromium with software rendering: medians as JSON.

    python tests/benchmarks/ui.py [--n 100000 1000000] [--rounds 7] [--parts map review plotly kills …]

map, review: the dashboard itself on a run of n samples. plotly: the same map by Plotly's scattergl and as a raster.
kills: SIGKILL at random moments of a simulated review. reviewers: four at once, on the store and through the server.
The seconds are of the machine and its load: compare the columns. `cpu` figures count what browser and server worked,
which other load hardly changes: with a core to spare, the seconds are about that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import ui_durability
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright
from ui_browser import CLOCKS, FLAGS, Traffic, cpu, median, served
from ui_run import write_big_run

import oga_app

HERE = Path(__file__).parent
APP = Path(oga_app.__file__).with_name("streamlit_app.py")
PARTS = ("map", "review", "plotly", "kills", "reviewers")
PATIENCE = 120_000
# Plotly puts a new object in place of the old data when it draws a new figure.
KEEP_DATA = "() => { window.drawn = document.querySelector('.js-plotly-plot').data; }"
DATA_IS_NEW = "() => document.querySelector('.js-plotly-plot')?.data !== window.drawn"


def open_page(browser: Browser, url: str, **query: object) -> Page:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.add_init_script(CLOCKS)
    page.goto(url + "?" + "&".join(f"{name}={value}" for name, value in query.items()))
    return page


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def measure_map(browser: Browser, url: str, run: Path, rounds: int) -> dict[str, Any]:
    """First paint, drag per frame, release to server, selection to linked grid, bytes per change."""
    begun = time.perf_counter()
    page = open_page(browser, f"{url}/explore", run=run.name)
    page.locator("output.readout strong").wait_for()
    page.evaluate("() => window.painted('canvas.surface')")
    first = time.perf_counter() - begun
    page.locator(".tile").first.wait_for()
    page.wait_for_timeout(3000)
    traffic = Traffic(page)
    box = page.locator(".histogram").bounding_box()
    plot = page.locator(".surface").bounding_box()
    assert box
    assert plot
    drags, releases, sizes, selections = [], [], [], []
    work: dict[str, list[float]] = {"drag_frame_cpu_s": [], "selection_cpu_s": []}
    for turn in range(rounds):
        page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 30)
        page.mouse.down()
        busy = cpu()
        for step in range(8):
            place = 0.35 + 0.05 * step + 0.003 * turn
            drags.append(page.evaluate("(place) => window.dragStep(place)", place) / 1000)
        work["drag_frame_cpu_s"].append((cpu() - busy) / 8)
        traffic.reset()
        shown = page.locator("output.readout strong").inner_text()
        releases.append(
            seconds(lambda shown=shown: (page.mouse.up(), page.locator(f".oga-figure >> text='{shown}'").wait_for()))
        )
        page.wait_for_timeout(1500)
        sizes.append(traffic.bytes)
    page.get_by_role("button", name="Lasso: drag on the map").click()
    middle = plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2
    for turn in range(rounds):
        half = 40 + 12 * turn
        before, busy = tiles(page), cpu()
        page.mouse.move(middle[0] - half, middle[1] - half)
        page.mouse.down()
        for dx, dy in ((half, -half), (half, half), (-half, half)):
            page.mouse.move(middle[0] + dx, middle[1] + dy, steps=4)
        selections.append(
            seconds(
                lambda before=before: (
                    page.mouse.up(),
                    page.wait_for_function(
                        "(before) => { const now = [...(window.deep('.grid')?.children ?? [])].map((tile) => "
                        "tile.getAttribute('aria-label')).join(); return now && now !== before; }",
                        arg=before,
                    ),
                )
            )
        )
        work["selection_cpu_s"].append(cpu() - busy)
        page.wait_for_timeout(1500)
    page.close()
    return {name: median(values) for name, values in work.items()} | {
        "first_paint_s": round(first, 2),
        "drag_frame_s": median(drags),
        "release_to_server_and_back_s": median(releases),
        "selection_to_grid_s": median(selections),
        "bytes_per_threshold_change": int(median(sizes) or 0),
    }


def tiles(page: Page) -> str:
    script = "() => [...(window.deep('.grid')?.children ?? [])].map((tile) => tile.getAttribute('aria-label')).join()"
    return str(page.evaluate(script))


def measure_review(browser: Browser, url: str, run: Path, presses: int) -> dict[str, Any]:
    """Key press to next sample painted, and to the decision on disk, at a press each time the sample has changed."""
    page = open_page(browser, f"{url}/review", run=run.name)
    page.locator(".position:not(:empty)").wait_for()
    page.wait_for_timeout(4000)
    page.evaluate("() => window.watch('.position')")
    already = len(decided_at(run))
    busy = cpu()
    for i in range(presses):
        page.keyboard.press("krus"[i % 4])
        page.wait_for_function("(count) => window.shows.length > count", arg=i)
    busy = cpu() - busy
    pressed, painted = page.evaluate("() => [window.presses, window.shows]")
    on_disk = decided_at(run)[already:]
    fast = len(on_disk)
    for i in range(30):
        page.keyboard.press("kru"[i % 3])
        page.wait_for_timeout(100)
    with contextlib.suppress(TimeoutError):
        page.wait_for_function("(count) => window.presses.length >= count", arg=presses + 30)
        page.locator(".state", has_text="Saved.").wait_for(timeout=20_000)
    arrived = len(decided_at(run)) - already - fast
    page.close()
    return {
        "key_cpu_s": round(busy / presses, 3),
        "key_to_next_painted_s": median([(b - a) / 1000 for a, b in zip(pressed, painted, strict=False)]),
        "key_to_decision_on_disk_s": median([(b - a) / 1000 for a, b in zip(pressed, on_disk, strict=False)]),
        "decision_before_paint": all(a <= b for a, b in zip(on_disk, painted, strict=False)),
        "of_30_at_ten_a_second": arrived,
    }


def measure_keys(browser: Browser, run: Path, presses: int) -> dict[str, Any]:
    """The same with a button's own shortcut on an empty page: what one press costs in Streamlit at the least."""
    with served(HERE / "ui_rivals.py", BENCHMARK_RUN=str(run)) as url:
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


def decided_at(run: Path) -> list[float]:
    """When each decision was written, in milliseconds since 1970."""
    if not (run / "review.sqlite").is_file():
        return []
    with contextlib.closing(sqlite3.connect(run / "review.sqlite")) as database:
        rows = database.execute("SELECT time FROM steps WHERE kind = 'decide' ORDER BY seq").fetchall()
    return [1000 * datetime.fromisoformat(row[0]).timestamp() for row in rows]


def measure_plotly(browser: Browser, run: Path, way: str, rounds: int) -> dict[str, Any]:
    """First paint, threshold to redrawn and box selection of the map drawn by Plotly."""
    with served(HERE / "ui_rivals.py", BENCHMARK_RUN=str(run)) as url:
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


def main() -> None:
    """Measure what is asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--decisions", type=int, default=1000, help="of each of four reviewers on the store")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where runs are kept (default: a temporary folder)")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"load_average": [round(load, 1) for load in os.getloadavg()], "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        folder = options.folder or Path(temporary)
        browser = driver.chromium.launch(executable_path=options.chromium, args=FLAGS)
        for n in options.n if {"map", "review", "plotly"} & set(options.parts) else ():
            run = write_big_run(folder, n)
            part: dict[str, Any] = {}
            result[str(n)] = part
            for name, measure in {"map": measure_map, "review": measure_review}.items():
                if name in options.parts:
                    with served(APP, "--run", str(run)) as url:
                        count = options.rounds if name == "map" else options.presses
                        part[name] = measure(browser, url, run, count)
                    report(result, options.out)
            if "review" in options.parts:
                part["streamlit_button"] = measure_keys(browser, run, options.presses)
            for way in ("scattergl", "raster") if "plotly" in options.parts else ():
                part[f"plotly_{way}"] = measure_plotly(browser, run, way, options.rounds)
                report(result, options.out)
        if "kills" in options.parts:
            result["kills"] = ui_durability.kills(options.kills)
            report(result, options.out)
        if "reviewers" in options.parts:
            result["reviewers_on_the_store"] = ui_durability.reviewers(4, options.decisions)
            report(result, options.out)
            run = write_big_run(folder, 20_000)
            result["reviewers_through_the_server"] = measure_reviewers(browser, run, 4, options.presses)
        browser.close()
    report(result, options.out)
    json.dump(result, sys.stdout, indent=1)
    print()


def report(result: dict[str, Any], out: Path | None) -> None:
    """Keep what is known so far: a long run may be cut off."""
    if out:
        out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
