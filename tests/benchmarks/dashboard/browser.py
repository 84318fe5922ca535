"""A real headless Chromium on the dashboard, with the clocks that the benchmark reads inside the page."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from playwright.sync_api import Browser, Page

PATIENCE = 120_000  # milliseconds: a million points take a software renderer that long at worst
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]

# Defined before any script of the page. `painted` waits until the graphics card has finished what it was told.
CLOCKS = """
window.deep = (selector, root = document) => {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const node of root.querySelectorAll("*")) {
    const inner = node.shadowRoot && window.deep(selector, node.shadowRoot);
    if (inner) return inner;
  }
  return null;
};
window.nextFrame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
window.painted = async (selector) => {
  await window.nextFrame();
  const canvas = window.deep(selector);
  const gl = canvas?.getContext("webgl2") ?? canvas?.getContext("webgl");
  gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
};
window.dragStep = async (place) => {
  const root = window.deep(".histogram");
  const { left, width, top } = root.getBoundingClientRect();
  const before = window.deep("output.readout").textContent;
  const begun = performance.now();
  const at = { clientX: left + place * width, clientY: top + 20, bubbles: true };
  root.dispatchEvent(new PointerEvent("pointermove", at));
  await window.painted("canvas.surface");
  if (window.deep("output.readout").textContent === before) throw new Error("the drag changed nothing");
  return performance.now() - begun;
};
window.presses = [];
window.shows = [];
window.addEventListener("keydown", () => window.presses.push(Date.now()), true);
window.watch = (selector) => {
  let last = window.deep(selector).textContent;
  new MutationObserver(async () => {
    const now = window.deep(selector).textContent;
    if (!now || now === last) return;
    last = now;
    await window.nextFrame();
    window.shows.push(Date.now());
  }).observe(window.deep(selector), { childList: true, characterData: true, subtree: true });
};
"""


@contextlib.contextmanager
def served(script: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Run a Streamlit script; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    flags += ["--server.fileWatcherType=none", "--browser.gatherUsageStats=false"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags, "--", *arguments]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health"):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Traffic:
    """Bytes through the page's WebSocket since `reset`."""

    def __init__(self, page: Any):
        client = page.context.new_cdp_session(page)
        client.send("Network.enable")
        client.on("Network.webSocketFrameSent", lambda event: self._add(event))
        client.on("Network.webSocketFrameReceived", lambda event: self._add(event))
        self.bytes = 0

    def reset(self) -> None:
        """Count from here."""
        self.bytes = 0

    def _add(self, event: Any) -> None:
        # Binary frames come as base64: four letters for three bytes.
        self.bytes += len(event["response"]["payloadData"]) * 3 // 4


def cpu() -> float:
    """CPU seconds so far of all that this process has started: browser and server. Hardly depends on other load."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def dashboard_mb() -> int:
    """Megabytes that the dashboard's own process holds, without browser and readers."""
    sizes = [0]
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "streamlit" in process.cmdline():
                sizes.append(process.memory_info().rss >> 20)
    return max(sizes)


def median(seconds: list[float]) -> float | None:
    """The median in seconds, None where nothing was measured."""
    return round(statistics.median(seconds), 3) if seconds else None


def open_page(browser: Browser, url: str, **query: object) -> Page:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.add_init_script(CLOCKS)
    page.goto(f"{url}?{urlencode(query)}")
    return page


def shows(page: Page, selector: str) -> None:
    """Wait until an element is there, asked in each frame: Playwright itself soon asks only twice a second."""
    page.wait_for_function("(selector) => window.deep(selector)", arg=selector, polling="raf")


def map_painted(page: Page) -> None:
    """Wait until the map is drawn, with what stands below it."""
    shows(page, "output.readout strong")
    page.evaluate("() => window.painted('canvas.surface')")


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
