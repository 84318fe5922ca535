"""How fast the dashboard is, in real headless Chromium with software rendering: medians as JSON.

    python tests/benchmarks/ui.py [--n 100000 10000000] [--rounds 7] [--parts map review …] [--filters '{"given":"…"}']

paint: Explore in a browser that was just started, and again, beside an empty page of Streamlit's.
map, review: the dashboard itself on a run of n samples. plotly: the same map by Plotly's scattergl and as a raster.
kills: SIGKILL at random moments of a simulated review; server_kills: of the real server, reviewed over its protocol.
reviewers: four at once, on the store and through the server.
The seconds are of the machine and its load: compare the columns. `cpu` figures count what browser and server worked,
which other load hardly changes: with a core to spare, the seconds are about that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))

from dashboard import durability
from dashboard.browser import FLAGS, Traffic, cpu, dashboard_mb, map_painted, median, open_page, seconds, served
from dashboard.first_paint import measure_first_paint
from dashboard.reviewers import APP, decided_at, measure_reviewers
from dashboard.rival_measures import measure_keys, measure_plotly
from dashboard.run import write_big_run
from kills import review_while_killed
from playwright.sync_api import Browser, Page, Playwright, TimeoutError, sync_playwright

OPENING = 1_800_000
"""Milliseconds until the data of ten million samples are open: a CSV of them is read row by row."""
PARTS = ("paint", "map", "review", "plotly", "kills", "server_kills", "reviewers")


def measure_map(browser: Browser, url: str, run: Path, rounds: int, filters: str = "") -> dict[str, Any]:
    """First paint, drag per frame, release to server, selection to linked grid, a filter, bytes, the server's memory.

    filters: as in the address; figures are then those of a page that shows a part of the samples.
    """
    begun = time.perf_counter()
    busy = cpu()
    page = open_page(browser, f"{url}/explore", run=run.name, **({"filters": filters} if filters else {}))
    map_painted(page)
    first = time.perf_counter() - begun
    opening = cpu() - busy
    page.locator(".tile").first.wait_for()
    page.wait_for_timeout(3000)
    opened_mb = dashboard_mb()
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
    classes = json.loads((run / "run.json").read_text())["classes"]
    filtered = [measure_filter(page, label) for label in classes[3:8:2][:rounds]]
    held_mb = dashboard_mb()
    page.close()
    return {name: median(values) for name, values in work.items()} | {
        "first_paint_s": round(first, 2),
        "first_paint_cpu_s": round(opening, 2),
        "filter_s": median([wall for wall, _ in filtered]),
        "filter_cpu_s": median([busy for _, busy in filtered]),
        "dashboard_mb": opened_mb,
        "dashboard_after_all_mb": held_mb,
        "drag_frame_s": median(drags),
        "release_to_server_and_back_s": median(releases),
        "selection_to_grid_s": median(selections),
        "bytes_per_threshold_change": int(median(sizes) or 0),
    }


def measure_filter(page: Page, label: str) -> tuple[float, float]:
    """From the choice of a given label to the counts of what passes; in seconds, and in those of a processor."""
    page.get_by_role("button", name="Filter").first.click()
    page.get_by_test_id("stPopoverBody").get_by_role("combobox", name="Given label", exact=True).click()
    option = page.get_by_role("option", name=label, exact=True)
    option.wait_for()
    busy = cpu()
    took = seconds(lambda: (option.click(), page.get_by_role("button", name=f"given: {label}").wait_for()))
    page.wait_for_timeout(3000)
    page.keyboard.press("Escape")
    return took, cpu() - busy


def tiles(page: Page) -> str:
    script = "() => [...(window.deep('.grid')?.children ?? [])].map((tile) => tile.getAttribute('aria-label')).join()"
    return str(page.evaluate(script))


def measure_review(browser: Browser, url: str, run: Path, presses: int) -> dict[str, Any]:
    """Key press to next sample painted, and to the decision on disk, at a press each time the sample has changed."""
    page = open_page(browser, f"{url}/review", run=run.name)
    page.locator(".position:not(:empty)").wait_for(timeout=OPENING)
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


def main() -> None:
    """Measure what is asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the moments of the server's kills and of what is pressed"
    )
    parser.add_argument("--decisions", type=int, default=1000, help="of each of four reviewers on the store")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where runs are kept (default: a temporary folder)")
    parser.add_argument("--run", type=Path, help="a scored run of one's own in place of made ones (map, review)")
    parser.add_argument("--filters", default="", help='of the map part, such as {"given":"class 1"}')
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"load_average": [round(load, 1) for load in os.getloadavg()], "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        folder = options.folder or Path(temporary)
        browser = chromium(driver, options.chromium)
        for n in options.n if {"paint", "map", "review", "plotly"} & set(options.parts) else ():
            run = options.run or write_big_run(folder, n)
            part: dict[str, Any] = {}
            result[str(n)] = part
            if "paint" in options.parts:
                part["first_paint"] = measure_first_paint(partial(chromium, driver, options.chromium), run)
            for name, measure in {"map": measure_map, "review": measure_review}.items():
                if name in options.parts:
                    with served(APP, "--run", str(run)) as url:
                        count = options.rounds if name == "map" else options.presses
                        more = {"filters": options.filters} if name == "map" else {}
                        part[name] = measure(browser, url, run, count, **more)
                    report(result, options.out)
            if "review" in options.parts and not options.run:
                part["streamlit_button"] = measure_keys(browser, run, options.presses)
            for way in ("scattergl", "raster") if "plotly" in options.parts else ():
                part[f"plotly_{way}"] = measure_plotly(browser, run, way, options.rounds)
                report(result, options.out)
        if "kills" in options.parts:
            result["kills"] = durability.kills(options.kills)
            report(result, options.out)
        if "server_kills" in options.parts:
            result["server_kills"] = review_while_killed(folder, options.kills, options.seed)
            report(result, options.out)
        if "reviewers" in options.parts:
            result["reviewers_on_the_store"] = durability.reviewers(4, options.decisions)
            report(result, options.out)
            run = write_big_run(folder, 20_000)
            result["reviewers_through_the_server"] = measure_reviewers(browser, run, 4, options.presses)
        browser.close()
    report(result, options.out)
    json.dump(result, sys.stdout, indent=1)
    print()


def chromium(driver: Playwright, path: str) -> Browser:
    return driver.chromium.launch(executable_path=path, args=FLAGS)


def report(result: dict[str, Any], out: Path | None) -> None:
    """Keep what is known so far: a long run may be cut off."""
    if out:
        out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
