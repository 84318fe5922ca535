"""What holds of the jail around a worker: its own word, checked from outside by its parent."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from oga_core.worker.limits import FILE_SIZE
from oga_core.worker.stages import Progress

_SECCOMP_FILTER = "2"  # of /proc/PID/status; 1 is the strict mode, which runs no program

_WITHOUT = {
    "limits": (
        "This system sets no limits for a process, so the worker that reads the data and the model is only watched: "
        "it can use all memory for a moment."
    ),
    "landlock": (
        "This system has no landlock (Linux has it since 5.13, where it is switched on), so the worker that reads the "
        "data and the model can open every file that you can."
    ),
    "seccomp": (
        "This system has no seccomp, so the worker that reads the data and the model can reach the network and start "
        "other programs."
    ),
}


class Jail(TypedDict):
    """Which layers hold around a worker, and one sentence for each that does not."""

    limits: bool
    landlock: bool
    seccomp: bool
    missing: list[str]


def inspect(process: int, word: Mapping[str, Any]) -> Jail:
    """Return which layers hold around the worker: those that it names and that this process sees too.

    word: what the worker said, before it imported anything of the job. Landlock shows nowhere from outside; what it
    stands on does.
    """
    holds = {name: word.get(name) is True for name in _WITHOUT}
    if sys.platform.startswith("linux"):
        status = _status(process)
        holds["landlock"] &= status.get("NoNewPrivs") == "1"
        holds["seccomp"] &= status.get("NoNewPrivs") == "1" and status.get("Seccomp") == _SECCOMP_FILTER
        holds["limits"] &= _is_limited(process)
    return Jail(
        limits=holds["limits"],
        landlock=holds["landlock"],
        seccomp=holds["seccomp"],
        missing=[sentence for name, sentence in _WITHOUT.items() if not holds[name]],
    )


@functools.cache
def jail_here() -> Jail:
    """Return what holds on this machine, found by putting a worker that does nothing into the jail."""
    from oga_core.worker.supervisor import run_job

    jail: Jail = run_job("nothing", {})["jail"]
    return jail


def do_nothing(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Be the job that is only looked at."""
    return {}


def _status(process: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def _is_limited(process: int) -> bool:
    import resource

    try:
        return resource.prlimit(process, resource.RLIMIT_FSIZE)[1] in range(FILE_SIZE + 1)
    except OSError:
        return False
