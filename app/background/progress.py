"""Progress of a command: one line on standard error, and a small file that the dashboard reads."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from oga_core.files import write_whole

_INTERVAL = 0.5


class ProgressLine:
    """Shows `{"stage", "done", "total", "seconds_left"}` events; at most two a second, and every new stage."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._step = "", ""
        self._shown_at = 0.0
        self._terminal = sys.stderr.isatty()

    def __call__(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        stage = describe(event)
        step = event.get("stage", ""), event.get("score", "")
        if step == self._step and now - self._shown_at < _INTERVAL:
            return
        new_stage = step != self._step
        self._step = step
        self._shown_at = now
        if self._terminal:
            print(f"\r\x1b[K{stage}", end="", file=sys.stderr, flush=True)
        elif new_stage or event.get("done") == event.get("total"):
            print(stage, file=sys.stderr, flush=True)
        if self._path is not None and self._path.parent.is_dir():
            content = json.dumps({**event, "time": time.time()})
            write_whole(self._path, lambda path: path.write_text(content))

    def close(self) -> None:
        """End the line."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def describe(event: dict[str, Any]) -> str:
    """One line for a person: stage, count, share and time left."""
    parts = [str(event.get("run", "")), str(event.get("stage", ""))]
    if "score" in event:
        parts.append(str(event["score"]))
    if event.get("total"):
        parts.append(f"{event.get('done', 0):,} of {event['total']:,}")
    if event.get("seconds_left") is not None:
        parts.append(f"about {duration(event['seconds_left'])} left")
    if event.get("memory_mb"):
        parts.append(f"about {event['memory_mb']:,.0f} MB of memory")
    return " · ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 3 min, 1 h 20 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def between(low: float, high: float) -> str:
    """A range of seconds as a person says it: 8 s, 3 to 5 min."""
    first = duration(low)
    last = duration(high)
    if first == last:
        return first
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.split(" ")[1:] == [unit] else f"{first} to {last}"


def gigabytes(low: float, high: float) -> str:
    """A range of MiB as a person says it: 40 MB, 0.8 to 1.2 GB."""
    unit, size = ("MB", 1.0) if high < 1000 else ("GB", 1024.0)
    digits = 0 if unit == "MB" else 1
    first = f"{low / size:,.{digits}f}"
    last = f"{high / size:,.{digits}f}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"
