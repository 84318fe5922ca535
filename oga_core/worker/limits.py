"""What a job may use, and how it ends where it may not."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from oga_core.errors import OgaError

FILE_SIZE = 64 << 30  # bytes of one file; the arrays of ten million samples fit
QUIET_SECONDS = 1800.0  # without any word; the slowest batch of a large model on a CPU takes minutes


class WorkerError(OgaError):
    """The worker was stopped by a limit or crashed; the message says at what and what to try."""


class Cancelled(OgaError):
    """The person stopped the job; what it had written stays and the next start goes on from there."""


class WorkerFault(RuntimeError):
    """A fault of ours inside the worker; the message ends with its traceback."""


@dataclass(frozen=True)
class Limits:
    """memory: bytes; seconds: for the whole job; quiet_seconds: without any word, quiet_stages: in these stages."""

    memory: int
    seconds: float | None
    quiet_seconds: float
    quiet_stages: Mapping[str, float]


def machine_memory() -> int:
    """The memory of this machine or of the container around this process, in bytes."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max"
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return int(total)
