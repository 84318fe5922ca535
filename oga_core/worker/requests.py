"""What the parent asks of a job that stays: lines of JSON that come through a pipe of their own."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Iterator
from typing import Any

_lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()


def receive(pipe: int) -> None:
    """Take in what the parent sends, for as long as it lives."""
    with os.fdopen(pipe, "rb") as stream:
        for line in stream:
            _lines.put(line)


def requests() -> Iterator[dict[str, Any]]:
    """Yield the parent's requests as they come."""
    while True:
        yield json.loads(_lines.get())
