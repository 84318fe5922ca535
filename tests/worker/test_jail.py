"""The jail: hostile jobs get nowhere, honest work is not disturbed."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from oga_core.worker import jail
from oga_core.worker import supervisor as worker
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="landlock and seccomp are Linux's")


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(worker.JOBS, "attempts", "worker_jobs:attempts")
    for name in ("outside", "inside", "readable"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "inside" / "mine").write_text("mine")
    arguments = {name: str(tmp_path / name) for name in ("outside", "inside", "readable")}
    result = run_job(
        "attempts",
        {**arguments, "parent": os.getpid(), "x86": platform.machine() == "x86_64"},
        readable=[HERE, tmp_path / "readable"],
        writable=[tmp_path / "inside"],
    )
    assert (tmp_path / "outside" / "secret").read_text() == "secret"
    return result


def test_no_way_out_works(outcomes: dict[str, Any]) -> None:
    held = outcomes.pop("jail")
    if not (held["landlock"] and held["seccomp"]):
        pytest.skip(f"this kernel lacks a layer: {held}")
    assert {name: outcome for name, outcome in outcomes.items() if outcome == "worked"} == {}


def test_honest_work_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "honest", "worker_jobs:honest_work")
    result = run_job("honest", {"folder": str(tmp_path)}, readable=[HERE], writable=[tmp_path], memory_gb=3)
    assert result["threads"] == 2
    assert result["ran"] == [1]
    assert (tmp_path / "whole.npy").exists()


def test_a_missing_layer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine type whose system calls are not known, seccomp is left out and the rest holds."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert jail._restrict_calls(jail.ctypes.CDLL(None)) is False


@pytest.mark.parametrize("column", [0, 1])
def test_filter_jumps_stay_inside(column: int) -> None:
    """A wrong jump would let a call through or have the kernel refuse the whole program."""
    program = jail._filter(column, 0)
    assert all(len(instruction) == 8 for instruction in program)
    for position, instruction in enumerate(program):
        if instruction[0] & 0x07 == 0x05:
            assert position + 1 + max(instruction[2], instruction[3]) < len(program)


def test_resource_limits_are_lower_than_asked_where_the_system_says_so() -> None:
    import resource
    import subprocess

    code = (
        "import resource; from oga_core.worker.jail import set_limits\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "assert set_limits(10**9, 5, 2000)\n"
        "print(*(resource.getrlimit(limit)[0] for limit in "
        "(resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_CORE)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    memory = "-1" if jail._gpu_devices() else "1000000000"
    assert done.stdout.split() == ["1000", "5", memory, "0"]
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != 5
