"""The filter of system calls: its numbers are the kernel's, and its jumps stay inside."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from oga_core.worker import jail, seccomp, system_calls

_HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")


@pytest.mark.parametrize("column", [0, 1])
def test_numbers_are_the_kernels(column: int) -> None:
    header = Path(_HEADERS[column])
    if not header.exists():
        pytest.skip(f"the kernel's headers are not installed: {header}")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    numbers = {name: int(number) for name, number in lines}
    arguments = ("CLONE", "CLONE3", "SOCKET", "KILL", "TGKILL", "SCHED_SETAFFINITY", "PRCTL", "FCNTL", "IOCTL")
    arguments += ("SECCOMP", "OPEN", "OPENAT", "OPENAT2")
    table = {**system_calls.DENIED, **system_calls.FOR_ACCELERATORS, "prlimit64": system_calls.PRLIMIT}
    table |= {name.lower(): getattr(system_calls, name) for name in arguments}
    # A call newer than these headers has the same number everywhere; aarch64 lacks what other calls replaced.
    known = {name: row[column] for name, row in table.items() if name in numbers or row[0] != row[1]}
    assert known == {name: numbers.get(name) for name in known}


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("accelerator", [False, True])
def test_filter_jumps_stay_inside(column: int, accelerator: bool) -> None:
    """A wrong jump would let a call through or have the kernel refuse the whole program."""
    program = seccomp.program(column, 0, 4711, accelerator=accelerator)
    instructions = [program[start : start + 8] for start in range(0, len(program), 8)]
    assert all(len(instruction) == 8 for instruction in instructions)
    assert len(instructions) < 4096  # the kernel's limit
    for position, instruction in enumerate(instructions):
        if instruction[0] & 0x07 == 0x05:
            assert position + 1 + max(instruction[2], instruction[3]) < len(instructions)


def test_a_missing_layer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine type whose system calls are not known, seccomp is left out and the rest holds."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert jail.refuse_calls(jail.ctypes.CDLL(None), accelerator=False) is False
