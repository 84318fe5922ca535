"""Closing the file system to this process for good, by Linux's landlock: what is not named can't be opened."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from oga_core.worker import accelerators

_PACKAGE = Path(__file__).parents[1]

# Its three calls have the same numbers on every architecture.
_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446

# Its rights, by the version that brought them.
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_MAKE_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # devices, sockets, pipes, symbolic links
_TRUNCATE = 1 << 14
_IOCTL_DEVICE = 1 << 15
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_READ = _READ_FILE | _READ_DIR | _EXECUTE
# bind and connect; abstract sockets and signals
_TCP = 0b11
_SCOPES = 0b11

_SYSTEM_READABLE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero", "/proc/self", "/proc/cpuinfo"),
    *("/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup"),
)


def version(libc: ctypes.CDLL) -> int:
    """Return the version of landlock that this kernel has, 0 where it has none or keeps it switched off."""
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, 1)))


def refuse_files(libc: ctypes.CDLL, readable: Iterable[Path], writable: Iterable[Path], *, accelerator: bool) -> bool:
    """Close all files but the Python installation and those named; False where this kernel can't."""
    known = version(libc)
    if known < 1:
        return False
    rights = _RIGHTS_BY_VERSION[min(known, max(_RIGHTS_BY_VERSION))]
    attribute = struct.pack("QQQ", rights, _TCP if known >= 4 else 0, _SCOPES if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attribute, size, 0)
    if ruleset < 0:
        return False
    try:
        for path in [*map(Path, _SYSTEM_READABLE), *_python_paths(), *readable]:
            _allow(libc, ruleset, path, _READ)
        _allow(libc, ruleset, _PACKAGE.parent, _READ_DIR)
        _allow(libc, ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
        changes = rights & ~_MAKE_SPECIAL & ~_EXECUTE
        for path in writable:
            _allow(libc, ruleset, path, changes)
        if accelerator:
            _allow_accelerators(libc, ruleset, changes)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow_accelerators(libc: ctypes.CDLL, ruleset: int, changes: int) -> None:
    for device in accelerators.devices():
        _allow(libc, ruleset, device, changes)
    for path in accelerators.READABLE:
        _allow(libc, ruleset, path, _READ)
    _allow(libc, ruleset, accelerators.THREADS, changes & (_WRITE_FILE | _TRUNCATE))


def _python_paths() -> list[Path]:
    """Where the interpreter, its packages, their libraries and this package are; nothing else of the import path."""
    paths = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), _PACKAGE]
    paths += [Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return paths + [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path | str, rights: int) -> None:
    """Allow a file or all beneath a folder; what does not exist needs no rule.

    A rule holds for an inode, and /proc makes a new one of a name that went from the kernel's memory: it must not go.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
    libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0)
    if not str(path).startswith("/proc/"):
        os.close(descriptor)
