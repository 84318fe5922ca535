"""Ways out of the jail through files; each raises `OSError` where it is refused. The machinery to try such ways."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oga_core.worker import system_calls as calls

Ways = dict[str, Callable[[], Any]]

LIBC = ctypes.CDLL(None, use_errno=True)
TEXT = ctypes.c_char_p
NOWHERE = 1  # an address that no process has: a call that gets through fails by it and changes nothing
_HERE = -100  # AT_FDCWD
_COLUMN = 0 if platform.machine() == "x86_64" else 1
_LATER = {"setxattrat": 463, "removexattrat": 466, "open_tree_attr": 467, "file_setattr": 469, "unknown": 500}


def attempt(ways: Ways) -> dict[str, str]:
    """Try every way and say how each ended: `worked`, or the name of the error."""
    outcomes = {}
    for name, way in ways.items():
        try:
            way()
            outcomes[name] = "worked"
        except OSError as error:
            outcomes[name] = errno.errorcode.get(error.errno or 0, str(error))
    return outcomes


def raw(call: str | tuple[int, int], *values: Any) -> Callable[[], None]:
    """A system call, by its name or its numbers; one that this architecture lacks counts as refused."""
    known = {**calls.DENIED, **calls.FOR_ACCELERATORS}

    def way() -> None:
        numbers = call if isinstance(call, tuple) else known.get(call)
        number = numbers[_COLUMN] if numbers else _LATER[str(call)]
        if number is None:
            raise OSError(errno.ENOSYS, "not on this architecture")
        result = LIBC.syscall(number, *values)
        if result == 0 and (call in ("fork", "vfork") or call == calls.CLONE):
            os._exit(0)  # the process that should not be
        if result < 0:
            raise OSError(ctypes.get_errno(), str(call))

    return way


def files(outside: Path, inside: Path, readable: Path) -> Ways:
    """Reading, writing, moving, linking and watching what is not the job's."""
    secret = outside / "secret"
    mine = inside / "mine"
    data = readable / "data"
    return {
        "read outside": secret.read_text,
        "list outside": lambda: os.listdir(outside),
        "write outside": lambda: (outside / "new").write_text("x"),
        "append outside": lambda: secret.open("a"),
        "truncate outside": lambda: os.truncate(secret, 0),
        "truncate by opening": lambda: os.open(data, os.O_RDONLY | os.O_TRUNC),
        "unnamed file outside": lambda: os.open(outside, os.O_TMPFILE | os.O_RDWR),
        "folder outside": lambda: (outside / "folder").mkdir(),
        "remove folder outside": lambda: (outside / "empty").rmdir(),
        "delete outside": secret.unlink,
        "rename into outside": lambda: os.rename(mine, outside / "mine"),
        "rename out of outside": lambda: os.rename(secret, inside / "secret"),
        "hard link to outside": lambda: os.link(secret, inside / "linked"),
        "hard link in outside": lambda: os.link(mine, outside / "linked"),
        "symbolic link": lambda: os.symlink(outside, inside / "link"),
        "pipe": lambda: os.mkfifo(inside / "pipe"),
        "device": lambda: os.mknod(inside / "device", 0o20666, os.makedev(1, 1)),
        "write readable": lambda: (readable / "new").write_text("x"),
        "append readable": lambda: data.open("a"),
        "delete readable": data.unlink,
        "password file": lambda: Path("/etc/passwd").read_text(),
        "password hashes": lambda: Path("/etc/shadow").read_text(),
        "root folder": lambda: os.listdir("/"),
        "temporary files": lambda: os.listdir("/tmp"),
        "home": lambda: os.listdir("/root"),
        "through /proc/self/root": lambda: Path("/proc/self/root/etc/passwd").read_text(),
        "through /proc/self/cwd": lambda: Path("/proc/self/cwd/../../etc/passwd").read_text(),
        "kernel memory": lambda: os.open("/dev/mem", os.O_RDWR),
        "kernel log": lambda: os.open("/dev/kmsg", os.O_RDONLY),
        "terminal": lambda: os.open("/dev/tty", os.O_RDWR),
        "shared memory": lambda: os.open("/dev/shm/oga-escape", os.O_RDWR | os.O_CREAT),
        "list shared memory": lambda: os.listdir("/dev/shm"),
        "file handle": raw("name_to_handle_at", _HERE, TEXT(b"/"), NOWHERE, NOWHERE, 0),
        "open by handle": raw("open_by_handle_at", _HERE, NOWHERE, 0),
        "watch outside": raw("inotify_add_watch", 0, TEXT(bytes(outside)), 2),
        "watches": raw("inotify_init1", 0),
        "watch the file system": raw("fanotify_init", 0, 0),
    }


def attributes(outside: Path, readable: Path) -> Ways:
    """Mode, owner, times and attributes, by path and by descriptor."""
    secret = TEXT(bytes(outside / "secret"))
    name = TEXT(b"user.oga")
    value = TEXT(b"x")
    data = os.open(readable / "data", os.O_RDONLY)
    return {
        "chmod": raw("chmod", secret, 0o777),
        "fchmod": raw("fchmod", data, 0o777),
        "fchmodat": raw("fchmodat", _HERE, secret, 0o777),
        "fchmodat2": raw("fchmodat2", _HERE, secret, 0o777, 0),
        "chown": raw("chown", secret, 65534, 65534),
        "fchown": raw("fchown", data, 65534, 65534),
        "lchown": raw("lchown", secret, 65534, 65534),
        "fchownat": raw("fchownat", _HERE, secret, 65534, 65534, 0),
        "setxattr": raw("setxattr", secret, name, value, 1, 0),
        "lsetxattr": raw("lsetxattr", secret, name, value, 1, 0),
        "fsetxattr": raw("fsetxattr", data, name, value, 1, 0),
        "setxattrat": raw("setxattrat", _HERE, secret, 0, name, NOWHERE, 16),
        "removexattr": raw("removexattr", secret, name),
        "lremovexattr": raw("lremovexattr", secret, name),
        "fremovexattr": raw("fremovexattr", data, name),
        "removexattrat": raw("removexattrat", _HERE, secret, 0, name),
        "file_setattr": raw("file_setattr", _HERE, secret, NOWHERE, 24, 0),
        "flags": lambda: fcntl.ioctl(data, 0x40086602, b"\x10" + bytes(7)),  # FS_IOC_SETFLAGS: nobody may change it
        "flags of 32 bits": lambda: fcntl.ioctl(data, 0x40046602, b"\x10" + bytes(7)),
        "extended flags": lambda: fcntl.ioctl(data, 0x401C5820, bytes(28)),  # FS_IOC_FSSETXATTR
        "utimensat": raw("utimensat", _HERE, secret, None, 0),
        "utime": raw("utime", secret, None),
        "utimes": raw("utimes", secret, None),
        "futimesat": raw("futimesat", _HERE, secret, None),
        "quota": raw("quotactl", 0, secret, 0, NOWHERE),
        "quota of a descriptor": raw("quotactl_fd", data, 0, 0, NOWHERE),
    }


def proc_writes() -> Ways:
    """What Linux does for who writes to a file."""
    thread = Path(f"/proc/self/task/{threading.get_native_id()}")
    texts = {
        **{"/proc/self/oom_score_adj": "-1000", "/proc/self/comm": "oga", "/proc/self/clear_refs": "1"},
        **{"/proc/self/coredump_filter": "0", "/proc/self/timerslack_ns": "1", "/proc/self/setgroups": "deny"},
        **{"/proc/self/uid_map": "0 0 1", "/proc/self/attr/current": "x", "/proc/self/mem": ""},
        **{"/proc/sys/kernel/core_pattern": "|/bin/sh", "/proc/sysrq-trigger": "h", "/proc/sys/vm/drop_caches": "1"},
        **{"/sys/fs/cgroup/cgroup.procs": "0", "/sys/power/state": "x", "/sys/kernel/profiling": "0"},
    }
    return {
        **{f"write {path}": _writing(Path(path), text) for path, text in texts.items()},
        "spare a thread": _writing(thread / "oom_score_adj", "-1000"),
        "name a thread": _writing(thread / "comm", "oga"),
    }


def _writing(path: Path, text: str) -> Callable[[], Any]:
    return lambda: path.write_text(text)
