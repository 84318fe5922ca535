"""A jail for the worker, in layers: resource limits on Unix; landlock (files) and seccomp (system calls) on Linux.

It is entered once, before any library is imported, so that every thread that starts later is inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from oga_core.worker.landlock import refuse_files
from oga_core.worker.seccomp import refuse_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_CAPABILITIES_VERSION = 0x20080522
_OPENING_FILES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def enter(
    readable: Iterable[Path],
    writable: Iterable[Path],
    *,
    memory: int | None,
    cpu_seconds: int | None,
    file_size: int,
    accelerator: bool,
) -> dict[str, bool]:
    """Enter the jail for good and return which layers hold: `limits`, `landlock`, `seccomp`.

    readable, writable: files and folders beyond the Python installation. memory, file_size: bytes. accelerator: whether
    the driver of one works in here. A layer that this system lacks is left out; the others still hold.
    """
    limits = set_limits(memory, cpu_seconds, file_size, accelerator=accelerator)
    layers = {"limits": limits, "landlock": False, "seccomp": False}
    if not sys.platform.startswith("linux"):
        return layers
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        _drop_capabilities(libc)
        layers["landlock"] = refuse_files(libc, readable, writable, accelerator=accelerator)
        layers["seccomp"] = refuse_calls(libc, accelerator=accelerator)
    return layers


def die_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent ends, also when the parent is killed.

    Two ways, since code in here can take one back where no seccomp holds: the signal of a parent's death, and the end
    of the pipe on standard input, whose other end only the parent holds.
    """
    if not sys.platform.startswith("linux"):
        return
    import fcntl

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if os.getppid() != parent:
        os._exit(1)


def set_limits(memory: int | None, cpu_seconds: int | None, file_size: int, *, accelerator: bool) -> bool:
    """Set resource limits; memory counts private writable pages, so mapped weights and address reserves do not."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: file_size}
    if cpu_seconds is not None:
        wanted[resource.RLIMIT_CPU] = cpu_seconds
    if memory is not None and not accelerator:  # their drivers map more memory than any limit allows
        wanted[resource.RLIMIT_DATA] = memory
    for limit, value in wanted.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # a limit that this system does not let anybody set
            resource.setrlimit(limit, (value, value))
    return True


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Give up what root may do beyond opening files: raising its own limits, sparing itself when memory runs out, …"""
    header = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    current = ctypes.create_string_buffer(24)
    if libc.capget(header, current) == 0:
        permitted = struct.unpack("6I", current.raw)[1] & _OPENING_FILES
        libc.capset(header, struct.pack("6I", permitted, permitted, 0, 0, 0, 0))
