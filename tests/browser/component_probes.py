"""What the tests of the components ask of a page and of its server."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from component_server import Server


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until the condition holds; fail with what it returned last."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, value
        time.sleep(0.03)


class Traffic:
    """Bytes through the page's WebSocket and files fetched since `reset`."""

    def __init__(self, page):
        self.client = page.context.new_cdp_session(page)
        self.client.send("Network.enable")
        self.client.on("Network.webSocketFrameSent", lambda event: self._add("sent", event))
        self.client.on("Network.webSocketFrameReceived", lambda event: self._add("received", event))
        self.client.on("Network.responseReceived", lambda event: self.files.append(event["response"]["url"]))
        self.reset()

    def reset(self) -> None:
        self.sent = self.received = 0
        self.files: list[str] = []

    def _add(self, way: str, event: dict) -> None:
        # Binary frames come as base64: four letters for three bytes.
        setattr(self, way, getattr(self, way) + len(event["response"]["payloadData"]) * 3 // 4)


def steps(server: Server) -> list[tuple]:
    """The review log as it is on disk: kind, sample, action, new label, note."""
    with sqlite3.connect(server.folder / f"{server.store}.sqlite") as database:
        return database.execute(
            "SELECT kind, sample_id, action, new_label, note FROM steps LEFT JOIN decisions ON step = seq ORDER BY seq"
        ).fetchall()


def shown(page) -> str:
    return page.locator(".position").inner_text().split(" · ")[-1]
