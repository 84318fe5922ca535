"""A real server over real run folders, and real headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import component_server
import pytest
from app_runs import ODD_CLASSES, image_run, language_run, table_run, text_run
from app_server import Server
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from oga_core.runs.folder import RunFolder

# The processor stands for a graphics card, which only WebGL needs: grids drawn and composed without one cost a tenth
# less.
_WITHOUT_CARD = ("--disable-gpu-rasterization", "--disable-gpu-compositing")
_FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", *_WITHOUT_CARD)
_READY = {"map": "output.readout strong", "queue": ".position:not(:empty)", "grid": ".tile"}
# Streamlit asks for these below the page's own path first, and goes on when they are not there.
_HARMLESS = re.compile(r"404 \(Not Found\)|ResizeObserver loop|favicon")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders of every kind; tests that decide something make runs of their own."""
    folder = tmp_path_factory.mktemp("runs")
    for make in (image_run, text_run, table_run, language_run):
        make(folder)
    image_run(folder, "odd labels", ODD_CLASSES)
    return folder


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[Server]:
    """One server for all tests that do not harm it."""
    running = Server(runs)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without runs: what a module makes on it is its own."""
    running = Server(tmp_path_factory.mktemp("desk"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium: OGA_CHROMIUM, one that is installed, or Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("OGA_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def cached(browser: Browser) -> Iterator[BrowserContext]:
    """What pages share: the scripts of Streamlit, some megabytes, are fetched and compiled once for a server."""
    shared = browser.new_context(viewport={"width": 1440, "height": 1000})
    yield shared
    shared.close()


def forget(page: Page) -> None:
    """Close a page, and keep nothing of it for the next test but the cache."""
    page.evaluate("() => { try { localStorage.clear() } catch {} }")
    page.close()
    page.context.clear_cookies()


@pytest.fixture
def page(cached: BrowserContext) -> Iterator[Page]:
    """A page that fails its test when the browser reports an error."""
    opened = cached.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield opened
    forget(opened)
    assert [error for error in errors if not _HARMLESS.search(error)] == []


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[component_server.Server]:
    """One server of the components' page for all tests that do not harm it."""
    started = component_server.Server(component_server.PAGE, tmp_path_factory.mktemp("server")).start()
    yield started
    started.kill()


@pytest.fixture
def queue_server(site) -> component_server.Server:
    """That server with a review of its own."""
    return site.fresh()


@pytest.fixture
def mortal_server(tmp_path) -> Iterator[component_server.Server]:
    """A server to kill."""
    started = component_server.Server(component_server.PAGE, tmp_path).start()
    yield started
    started.kill()


@pytest.fixture
def opened(cached, site) -> Iterator[Callable]:
    pages, faults = [], []

    def open_page(show: str, server: component_server.Server = site, dark: bool = False, **query: object):
        scheme = "dark" if dark else "light"
        page = cached.new_page()
        page.set_viewport_size({"width": 1200, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{server.url}/?{urlencode({'show': show, 'store': server.store, **query})}")
        page.locator(_READY[show]).first.wait_for(timeout=40_000)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        forget(page)
    assert faults == []


def visit(page: Page, server: Server, path: str) -> None:
    """Open a page of the dashboard and wait until it stands still."""
    page.goto(f"{server.url}/{path}")
    page.wait_for_selector("h1.oga, .oga-empty, .oga-problem", timeout=120_000)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the server has nothing more to say."""
    page.wait_for_timeout(300)
    page.wait_for_selector('[data-test-script-state="running"]', state="detached", timeout=120_000)
    page.wait_for_timeout(200)


def give(page: Page, *paths: Path) -> None:
    """Type paths of files on the Run page."""
    field = page.get_by_role("textbox", name="Paths of files and folders, one a line")
    if not field.is_visible():
        page.get_by_text("Or give paths on this machine").click()
    field.fill("\n".join(map(str, paths)))
    field.press("Control+Enter")
    settle(page)


def drop(page: Page, *paths: Path) -> None:
    """Give files to the one place of the Run page that takes them."""
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    settle(page)


def start_scoring(page: Page, name: str) -> None:
    """Name the new run, and begin it."""
    page.get_by_role("textbox", name="Name of the run").fill(name)
    page.keyboard.press("Tab")
    settle(page)
    page.get_by_role("button", name="Start scoring").click()


def score(page: Page, server: Server, name: str) -> None:
    """Name the new run, begin it, and wait until it is scored and its map is drawn."""
    start_scoring(page, name)
    page.wait_for_url(f"**run={name.replace(' ', '+')}**", timeout=60_000)
    page.locator(".oga-problem").or_(page.get_by_text("How this was computed")).first.wait_for(timeout=300_000)
    assert page.locator(".oga-problem").all_inner_texts() == []
    page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=120_000)  # the map comes last
    settle(page)
    assert RunFolder.open(server.folder / name).info.status == "done"


def barriers(page: Page, inside: str = "") -> dict[str, list[str]]:
    """What axe finds serious or critical, with the first elements of each.

    inside: count only what lies in a shadow tree, or below an element with this in its name.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    elements: dict[str, list[str]] = {}
    for finding in axe.Axe().run(page).response["violations"]:
        nodes = [
            node["html"][:200]
            for node in finding["nodes"]
            if not inside or inside in str(node["target"]).lower() or isinstance(node["target"][0], list)
        ]
        if nodes and finding["impact"] in ("serious", "critical"):
            elements[finding["id"]] = nodes[:3]
    return elements


def queue(page: Page) -> Locator:
    """The line that says how much is decided."""
    return page.get_by_text(re.compile(r"\d+ of \d+ decided"))


def on_a_phone(page: Page, name: str, above: Locator | None = None) -> None:
    """Look at the page on a narrow screen, light and dark: it fits and has no barriers, and a screenshot is kept.

    above: what stands above the verdicts without scrolling.
    """
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollWidth <= 390")
        page.wait_for_timeout(500)  # colours fade over
        assert barriers(page) == {}
        shot(page, f"{name}-{look}-390")
        if above is not None:
            keep = page.get_by_role("button", name="Keep").bounding_box()
            place = above.bounding_box()
            assert place["y"] + place["height"] <= keep["y"]  # what is chosen there need not be scrolled to
    page.set_viewport_size(before)


def shot(page: Page, name: str) -> None:
    """Keep a screenshot in the folder named by OGA_ARTIFACTS, where there is one."""
    if folder := os.environ.get("OGA_ARTIFACTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))
