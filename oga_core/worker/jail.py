"""A jail for the worker, in layers: resource limits on Unix; landlock (files) and seccomp (system calls) on Linux.

Pure ctypes. It is entered once, before any library is imported, so that every thread that starts later is inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9

# landlock: numbers of its three calls (the same on every architecture) and its rights, by the ABI that brought them
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # devices, sockets, pipes, symbolic links
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_READ = _READ_FILE | _READ_DIR | _EXECUTE
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals

_SYSTEM_READABLE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero", "/proc/self", "/proc/cpuinfo"),
    *("/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup"),
)
_GPU_DEVICES = ("/dev/nvidia*", "/dev/dxg", "/dev/kfd", "/dev/dri")
_GPU_READABLE = (
    *("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/devices", "/sys/module"),
    *("/sys/class/kfd", "/opt/rocm"),
)

# name: (x86_64, aarch64)
_DENIED: dict[str, tuple[int | None, int | None]] = {
    **{"execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None)},
    **{"socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201)},
    **{"accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269)},
    **{"recvfrom": (45, 207), "recvmsg": (47, 212), "recvmmsg": (299, 243)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_signal": (424, 424)},
    **{"tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140)},
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97)},
    **{"setns": (308, 268), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430)},
    **{"fsmount": (432, 432), "fsconfig": (431, 431), "fspick": (433, 433), "mount_setattr": (442, 442)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "personality": (135, 92)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "syslog": (103, 116)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104)},
    **{"kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225)},
    **{"open_by_handle": (304, 265), "name_to_handle": (303, 264), "lookup_dcookie": (212, 18), "acct": (163, 89)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"mknod": (133, None), "mknodat": (259, 33), "quotactl": (179, 60), "quotactl_fd": (443, 443)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266)},
    **{"chmod": (90, None), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None)},
    **{"fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "removexattr": (197, 14)},
    **{"lremovexattr": (198, 15), "utimensat": (280, 88), "utime": (132, None), "utimes": (235, None)},
    **{"futimesat": (261, None), "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145)},
    **{"setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159)},
    **{"capset": (126, 91), "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None)},
    **{"ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None), "fanotify_init": (300, 262)},
    **{"msgget": (68, 186), "semget": (64, 190), "shmget": (29, 194), "mq_open": (240, 180), "mq_unlink": (241, 181)},
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_ABOUT_ONE_PROCESS = {"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261)}
_AUDIT_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
_CLONE_THREAD = 0x00010000


def enter(
    readable: Iterable[Path], writable: Iterable[Path], *, memory: int | None, cpu_seconds: int | None, file_size: int
) -> dict[str, bool]:
    """Enter the jail for good and return which layers hold: `limits`, `landlock`, `seccomp`.

    readable, writable: files and folders beyond the Python installation. memory, file_size: bytes. A layer that this
    system lacks is left out; the others still hold.
    """
    held = {"limits": set_limits(memory, cpu_seconds, file_size), "landlock": False, "seccomp": False}
    if not sys.platform.startswith("linux"):
        return held
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held["landlock"] = _restrict_files(libc, [*_python_paths(), *readable], list(writable))
        held["seccomp"] = _restrict_calls(libc)
    return held


def die_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent ends, also when the parent is killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def set_limits(memory: int | None, cpu_seconds: int | None, file_size: int) -> bool:
    """Set resource limits; memory counts private writable pages, so mapped weights and address reserves do not."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: file_size}
    if cpu_seconds is not None:
        wanted[resource.RLIMIT_CPU] = cpu_seconds
    if memory is not None and not _gpu_devices():  # their drivers map more memory than any limit allows
        wanted[resource.RLIMIT_DATA] = memory
    for limit, value in wanted.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # a limit that this system does not let anybody set
            resource.setrlimit(limit, (value, value))
    return True


def _gpu_devices() -> list[str]:
    """NVIDIA's devices, WSL's, and AMD's."""
    return [device for pattern in _GPU_DEVICES for device in glob.glob(pattern)]


def _python_paths() -> list[Path]:
    """Where the interpreter, its packages, their libraries and this package are; nothing else of the import path."""
    paths = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), _PACKAGE]
    paths += [Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return paths + [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]


def _restrict_files(libc: ctypes.CDLL, readable: Sequence[Path], writable: Sequence[Path]) -> bool:
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    rights = _RIGHTS_BY_ABI[min(abi, 5)]
    attribute = struct.pack("QQQ", rights, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attribute, size, 0)
    if ruleset < 0:
        return False
    try:
        for path in [*map(Path, _SYSTEM_READABLE), *readable]:
            _allow(libc, ruleset, path, _READ)
        _allow(libc, ruleset, _PACKAGE.parent, _READ_DIR)
        _allow(libc, ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
        for path in writable:
            _allow(libc, ruleset, path, rights & ~_MAKE_SPECIAL & ~_EXECUTE)
        for device in _gpu_devices():
            _allow(libc, ruleset, device, rights & ~_MAKE_SPECIAL & ~_EXECUTE)
        for path in map(Path, _GPU_READABLE if _gpu_devices() else ()):
            _allow(libc, ruleset, path, _READ)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path | str, rights: int) -> None:
    """Allow a file or all beneath a folder; what does not exist needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
        libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _restrict_calls(libc: ctypes.CDLL) -> bool:
    if platform.machine() not in _AUDIT_ARCHITECTURES:
        return False
    column, audit = _AUDIT_ARCHITECTURES[platform.machine()]
    program = b"".join(_filter(column, audit))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    number = (317, 277)[column]
    set_filter, all_threads = 1, 1
    return bool(libc.syscall(number, set_filter, all_threads, header) == 0)


def _filter(column: int, audit: int) -> list[bytes]:
    """The seccomp program: refuse the denied calls with EPERM; threads may start, processes may not."""
    deny, allow, kill = 0x00050000 | errno.EPERM, 0x7FFF0000, 0x80000000
    unknown_call = 0x00050000 | errno.ENOSYS

    def load(offset: int) -> bytes:
        return struct.pack("HBBI", 0x20, 0, 0, offset)

    def answer(value: int) -> bytes:
        return struct.pack("HBBI", 0x06, 0, 0, value)

    def unless(test: int, value: int, skip: int) -> bytes:
        """Skip the next `skip` instructions unless the test (0x15 equal, 0x35 at least, 0x45 has bits) holds."""
        return struct.pack("HBBI", test, 0, skip, value)

    equal, at_least, has_bits = 0x15, 0x35, 0x45
    number, architecture, first_argument = 0, 4, 16
    program = [load(architecture), struct.pack("HBBI", equal, 1, 0, audit), answer(kill), load(number)]
    if column == 0:
        program += [unless(at_least, 0x40000000, 1), answer(deny)]  # the x32 twins of all calls
    for numbers in _DENIED.values():
        if (denied := numbers[column]) is not None:
            program += [unless(equal, denied, 1), answer(deny)]
    # clone3 keeps its flags in memory, out of a filter's sight; without it glibc uses clone.
    program += [unless(equal, _CLONE3[column], 1), answer(unknown_call)]
    program += [unless(equal, _CLONE[column], 4), load(first_argument), unless(has_bits, _CLONE_THREAD, 1)]
    program += [answer(allow), answer(deny)]
    for numbers in _ABOUT_ONE_PROCESS.values():
        own = [os.getpid()] if numbers[0] != 302 else [os.getpid(), 0]
        checks = [part for process in own for part in (unless(equal, process, 1), answer(allow))]
        program += [unless(equal, numbers[column], 2 + len(checks)), load(first_argument), *checks, answer(deny)]
    return [*program, answer(allow)]
