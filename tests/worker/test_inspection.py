"""What holds of the jail is seen by the parent, not believed, and what does not is a sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oga_core.worker import supervisor as worker
from oga_core.worker.inspection import inspect, jail_here
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent
WORD = {"limits": True, "landlock": True, "seccomp": True}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process's jail to others")


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process in no jail."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def test_a_worker_that_lies_is_not_believed(sleeper: int) -> None:
    jail = inspect(sleeper, WORD)
    assert (jail["limits"], jail["landlock"], jail["seccomp"]) == (False, False, False)
    assert len(jail["missing"]) == 3
    assert any("no landlock" in sentence for sentence in jail["missing"])


def test_a_process_that_is_gone_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert len(inspect(process.pid, WORD)["missing"]) == 3


def test_the_jail_of_this_machine_is_seen() -> None:
    jail = jail_here()
    if not (jail["landlock"] and jail["seccomp"]):
        pytest.skip(f"this kernel lacks a layer: {jail}")
    assert jail == {**WORD, "missing": []}


def test_what_a_worker_says_later_of_its_jail_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "boast", "worker_jobs:boast")
    assert run_job("boast", {}, readable=[HERE], jail=False)["jail"]["missing"]


def test_a_layer_that_the_worker_lacks_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "echo", "worker_jobs:echo")
    jail = run_job("echo", {}, readable=[HERE], jail=False)["jail"]
    assert jail["limits"]
    assert [sentence.split(",")[0] for sentence in jail["missing"]] == [
        "This system has no landlock (Linux has it since 5.13",
        "This system has no seccomp",
    ]
