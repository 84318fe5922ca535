"""Ways out of the jail through the kernel: other programs and processes, the network, memory, the machine itself."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from escapes import LIBC, NOWHERE, TEXT, Ways, raw

from oga_core.worker import system_calls as calls

_FAMILIES = {
    **{"UNIX": 1, "INET": 2, "INET6": 10, "KEY": 15, "NETLINK": 16, "PACKET": 17},
    **{"BLUETOOTH": 31, "ALG": 38, "VSOCK": 40},
}
_UNLIMITED = bytes([255]) * 16
_UNSENT = 0  # a signal that is never sent: only whether it could be is answered


def programs() -> Ways:
    """Another program, or another process."""
    return {
        "shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "system": lambda: _must_be_zero(os.system("true")),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "exec a descriptor": raw("execveat", -100, TEXT(b"/bin/true"), NOWHERE, None, 0),
        "fork": os.fork,
        "fork call": raw("fork"),
        "vfork": raw("vfork"),
        "clone": raw(calls.CLONE, 17, None, None, None, None),
        "clone3": raw(calls.CLONE3, NOWHERE, 64),
        "load a library as a program": raw("uselib", TEXT(b"/bin/true")),
    }


def processes(parent: int) -> Ways:
    """Signals, memory, descriptors, priority and limits of other processes, and outliving one's own parent."""
    reading, _ = os.pipe()
    here = os.getpid()
    return {
        "kill": lambda: os.kill(parent, _UNSENT),
        "kill group": lambda: os.kill(0, _UNSENT),
        "kill all": lambda: os.kill(-1, _UNSENT),
        "tgkill": raw(calls.TGKILL, parent, parent, _UNSENT),
        "tkill": raw("tkill", parent, _UNSENT),
        "queue a signal": raw("rt_sigqueueinfo", parent, _UNSENT, NOWHERE),
        "queue a signal of a thread": raw("rt_tgsigqueueinfo", parent, parent, _UNSENT, NOWHERE),
        "pidfd_open": raw("pidfd_open", parent, 0),
        "pidfd_send_signal": raw("pidfd_send_signal", 0, _UNSENT, None, 0),
        "pidfd_getfd": raw("pidfd_getfd", 0, 0, 0),
        "signal by pipe": lambda: fcntl.fcntl(reading, fcntl.F_SETOWN, parent),
        "signal by pipe, extended": lambda: fcntl.fcntl(reading, 15, bytes((ctypes.c_int * 2)(1, parent))),
        "signal by ioctl": lambda: fcntl.ioctl(reading, 0x8901, parent.to_bytes(4, "little")),
        "outlive the parent": lambda: _must_be_zero(LIBC.prctl(1, 0, 0, 0, 0)),
        "ptrace": raw("ptrace", 16, parent, 0, 0),
        "be traced": raw("ptrace", 0, 0, 0, 0),
        "read memory": raw("process_vm_readv", parent, NOWHERE, 1, NOWHERE, 1, 0),
        "write memory": raw("process_vm_writev", parent, NOWHERE, 1, NOWHERE, 1, 0),
        "advise memory": raw("process_madvise", 0, NOWHERE, 1, 0, 0),
        "release memory": raw("process_mrelease", 0, 0),
        "compare": raw("kcmp", parent, here, 0, 0, 0),
        "environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "memory file": lambda: os.open(f"/proc/{parent}/mem", os.O_RDONLY),
        "descriptors": lambda: os.listdir(f"/proc/{parent}/fd"),
        "limits": lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 0),
        "own priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
        "scheduler": raw("sched_setscheduler", parent, 0, NOWHERE),
        "scheduler's parameters": raw("sched_setparam", parent, NOWHERE),
        "scheduler's attributes": raw("sched_setattr", parent, NOWHERE, 0),
        "cores": raw(calls.SCHED_SETAFFINITY, parent, 8, ctypes.byref(ctypes.c_uint64(1))),
        "disk priority": raw("ioprio_set", 1, parent, 0),
        "migrate pages": raw("migrate_pages", parent, 0, None, None),
        "move pages": raw("move_pages", parent, 0, None, None, None, 0),
    }


def sockets() -> Ways:
    """Every family, and every call that a socket from elsewhere would need."""
    names = ("connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg")
    names += ("recvfrom", "recvmsg", "recvmmsg")
    return {
        **{f"AF_{family}": _opening(family, socket.SOCK_RAW) for family in _FAMILIES},
        **{f"AF_{family} datagrams": _opening(family, socket.SOCK_DGRAM) for family in _FAMILIES},
        "AF_INET stream": _opening("INET", socket.SOCK_STREAM),
        "AF_INET6 stream": _opening("INET6", socket.SOCK_STREAM),
        "pair": socket.socketpair,
        **{name: raw(name, 0, NOWHERE, 1, 0, 0, 0) for name in names},
    }


def _opening(family: str, kind: int) -> Callable[[], Any]:
    return lambda: socket.socket(_FAMILIES[family], kind)


def memory() -> Ways:
    """What is kept where no limit counts it, and what other processes left in memory."""
    names = ("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv")
    names += ("msgctl", "mq_open", "mq_unlink")
    return {
        "memfd_create": raw("memfd_create", TEXT(b"oga"), 0),
        "memfd_secret": raw("memfd_secret", 0),
        "raise own memory": raw(calls.PRLIMIT, 0, resource.RLIMIT_DATA, _UNLIMITED, None),
        "raise own file size": raw(calls.PRLIMIT, os.getpid(), resource.RLIMIT_FSIZE, _UNLIMITED, None),
        **{name: raw(name, NOWHERE, NOWHERE, 0, 0, 0) for name in names},
    }


def machine() -> Ways:
    """Mounts, namespaces, keys, modules, clocks, users, and calls that nobody knows yet."""
    names = ("mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen")
    names += ("fsmount", "fsconfig", "fspick", "mount_setattr", "bpf", "perf_event_open", "keyctl", "add_key")
    names += ("request_key", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load")
    names += ("reboot", "swapon", "swapoff", "io_uring_setup", "io_uring_enter", "io_uring_register", "acct")
    names += ("settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname")
    names += ("iopl", "ioperm", "modify_ldt", "lookup_dcookie", "setgroups", "capset", "unknown")
    return {
        **{name: raw(name, NOWHERE, NOWHERE, NOWHERE, NOWHERE, NOWHERE) for name in names},
        "user namespace": raw("unshare", 0x10000000),
        "mount namespace": raw("unshare", 0x00020000),
        "another's namespace": raw("setns", 0, 0),
        "page faults": raw("userfaultfd", 0),
        "another personality": raw("personality", 0x0040000),  # no random addresses
        "kernel's messages": raw("syslog", 3, NOWHERE, 1),
        "hang up": raw("vhangup"),
        **{name: raw(name, 0) for name in ("setuid", "setgid", "setfsuid", "setfsgid")},
        **{name: raw(name, 0, 0, 0) for name in ("setreuid", "setregid", "setresuid", "setresgid")},
    }


def _must_be_zero(code: int) -> None:
    if code != 0:
        raise OSError(ctypes.get_errno() or errno.EPERM, "refused")
