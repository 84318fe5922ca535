"""What a job says while it works: the stage it is in, the seconds each took, its memory."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Progress = Callable[[dict[str, Any]], None]


@dataclass
class Stages:
    """Seconds per stage, and the one way to say what is going on."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.progress({"stage": name})
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MiB."""
    with suppress(OSError):  # resource usage begins with the memory of the process that started this one
        high_water = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
        if high_water:
            return round(int(high_water[1]) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
