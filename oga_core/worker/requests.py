"""What the parent asks of a job that stays: lines of JSON that come through a pipe of their own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

_lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()


def handed_down(pipe: int) -> tuple[int, dict[str, Any]]:
    """The number by which a child opens the pipe's end to read from, and the arguments of `Popen` that hand it down."""
    if sys.platform != "win32":
        return pipe, {"pass_fds": (pipe,)}
    import msvcrt

    handle = msvcrt.get_osfhandle(pipe)
    os.set_handle_inheritable(handle, True)
    return handle, {"startupinfo": subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})}


def receive(number: int) -> None:
    """Take in what the parent sends, for as long as it lives."""
    pipe = number
    if sys.platform == "win32":
        import msvcrt

        pipe = msvcrt.open_osfhandle(number, os.O_RDONLY)
    with os.fdopen(pipe, "rb") as stream:
        for line in stream:
            _lines.put(line)


def requests() -> Iterator[dict[str, Any]]:
    """Yield the parent's requests as they come."""
    while True:
        yield json.loads(_lines.get())
