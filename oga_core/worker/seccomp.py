"""Refusing system calls for good: the program that Linux runs before every call of the worker."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

from oga_core.worker import system_calls as calls

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
_X32 = 0x40000000  # the twins of all calls for programs with 32-bit pointers

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_DENY = _ERRNO | errno.EPERM
_UNKNOWN_CALL = _ERRNO | errno.ENOSYS
_DO_NOTHING = _ERRNO  # says that it worked

# tests of the filter's machine
_EQUAL = 0x15
_ABOVE = 0x25
_HAS_BITS = 0x45
# where they lie in what it looks at
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENTS = 16

_AF_UNIX = 1
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1  # a worker that takes it back outlives its parent
_SENDS_SIGNALS = (8, 15)  # F_SETOWN, F_SETOWN_EX: the kernel then sends any signal to any process of this user
_CHANGES_FILES = (
    *(0x40086602, 0x40046602, 0x401C5820),  # FS_IOC_SETFLAGS, its 32-bit twin, FS_IOC_FSSETXATTR
    *(0x40087602, 0x40047602),  # FS_IOC_SETVERSION and its twin
    *(0x40806685, 0x800C6613),  # FS_IOC_ENABLE_VERITY, FS_IOC_SET_ENCRYPTION_POLICY
    *(0xC0045877, 0xC0045878, 0xC0185879),  # FIFREEZE, FITHAW, FITRIM
    *(0x5412, 0x541C),  # TIOCSTI, TIOCLINUX: typing into a terminal
    *(0x8901, 0x8902),  # FIOSETOWN, SIOCSPGRP
)


def refuse_calls(libc: ctypes.CDLL, *, accelerator: bool) -> bool:
    """Install the filter in all threads of this process; False where this system or machine type has none."""
    if platform.machine() not in _ARCHITECTURES:
        return False
    code = program(*_ARCHITECTURES[platform.machine()], os.getpid(), accelerator=accelerator)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    set_filter = 1
    all_threads = 1
    number = calls.SECCOMP[_ARCHITECTURES[platform.machine()][0]]
    return bool(libc.syscall(number, set_filter, all_threads, header) == 0)


def program(column: int, architecture: int, process: int, *, accelerator: bool) -> bytes:
    """Return the filter: denied calls fail with EPERM, unknown ones with ENOSYS; threads may start, processes may not.

    column: of the tables of calls. architecture: as the kernel's audit names it. process: the worker's own number.
    accelerator: whether sockets of this machine and unnamed files are open to a driver.
    """
    code = [_load(_ARCHITECTURE), struct.pack("HBBI", _EQUAL, 1, 0, architecture), _answer(_KILL_PROCESS)]
    code += [_load(_NUMBER)]
    if column == 0:
        code += [_unless(_ABOVE, _X32 - 1, 1), _answer(_DENY)]
    code += [_unless(_ABOVE, calls.NEWEST_KNOWN, 1), _answer(_UNKNOWN_CALL)]
    denied = calls.DENIED if accelerator else {**calls.DENIED, **calls.FOR_ACCELERATORS}
    for numbers in denied.values():
        if (number := numbers[column]) is not None:
            code += [_unless(_EQUAL, number, 1), _answer(_DENY)]
    # clone3 keeps its flags in memory, out of a filter's sight; without it glibc uses clone.
    code += [_unless(_EQUAL, calls.CLONE3[column], 1), _answer(_UNKNOWN_CALL)]
    code += [_unless(_EQUAL, calls.CLONE[column], 4), _load(_ARGUMENTS), _unless(_HAS_BITS, _CLONE_THREAD, 1)]
    code += [_answer(_ALLOW), _answer(_DENY)]
    code += [_unless(_EQUAL, calls.OPENAT2[column], 1), _answer(_UNKNOWN_CALL)]
    code += [*_emptying(calls.OPEN[column], 1), *_emptying(calls.OPENAT[column], 2)]
    return b"".join([*code, *_by_arguments(column, process, accelerator), _answer(_ALLOW)])


def _emptying(number: int | None, argument: int) -> list[bytes]:
    """Deny to empty a file by opening it for reading, which landlock allows before Linux 6.2."""
    if number is None:
        return []
    emptying = [_and(os.O_TRUNC | os.O_ACCMODE), _unless(_EQUAL, os.O_TRUNC | os.O_RDONLY, 1), _answer(_DENY)]
    return [_unless(_EQUAL, number, 5), _load(_ARGUMENTS + 8 * argument), *emptying, _answer(_ALLOW)]


def _by_arguments(column: int, process: int, accelerator: bool) -> list[bytes]:
    """The calls that are allowed or denied by one argument."""
    own = (0, process)
    families = (_AF_UNIX,) if accelerator else ()
    return [
        *_by_argument(calls.KILL[column], 0, own[1:], _ALLOW, _DENY),
        *_by_argument(calls.TGKILL[column], 0, own[1:], _ALLOW, _DENY),
        *_by_argument(calls.PRLIMIT[column], 0, own, _ALLOW, _DENY),
        # Libraries pin threads of their own, whose numbers nobody knows yet, and give up where that fails.
        *_by_argument(calls.SCHED_SETAFFINITY[column], 0, own, _ALLOW, _DO_NOTHING),
        *_by_argument(calls.SOCKET[column], 0, families, _ALLOW, _DENY),
        *_by_argument(calls.PRCTL[column], 0, (_PR_SET_PDEATHSIG,), _DENY, _ALLOW),
        *_by_argument(calls.FCNTL[column], 1, _SENDS_SIGNALS, _DENY, _ALLOW),
        *_by_argument(calls.IOCTL[column], 1, _CHANGES_FILES, _DENY, _ALLOW),
    ]


def _by_argument(number: int, argument: int, values: Sequence[int], equal: int, other: int) -> list[bytes]:
    """Answer `equal` to a call whose argument is one of `values`, else `other`; all that are used here have 32 bits."""
    checks = [part for value in values for part in (_unless(_EQUAL, value, 1), _answer(equal))]
    return [
        _unless(_EQUAL, number, 2 + len(checks)),
        _load(_ARGUMENTS + 8 * argument),
        *checks,
        _answer(other),
    ]


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def _and(bits: int) -> bytes:
    return struct.pack("HBBI", 0x54, 0, 0, bits)


def _answer(value: int) -> bytes:
    return struct.pack("HBBI", 0x06, 0, 0, value)


def _unless(test: int, value: int, skip: int) -> bytes:
    """Skip the next `skip` instructions unless the test holds."""
    return struct.pack("HBBI", test, 0, skip, value)
