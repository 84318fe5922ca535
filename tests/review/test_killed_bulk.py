"""A decision on thousands of samples, killed in the middle: all of it is there, or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from oga_core.review import ReviewStore

N_SAMPLES = 4_000
N_KILLS = int(os.environ.get("OGA_KILLS", "6"))
PROGRAM = f"""
import sys
from pathlib import Path
from oga_core.review import Decision, ReviewStore
store = ReviewStore(Path(sys.argv[1]))
batch = [Decision(f"sample-{{i}}", "remove") for i in range({N_SAMPLES})]
print("begins", flush=True)
store.decide(batch)
print("done", flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")


def killed(path: Path, delay: float) -> bool:
    """Decide on all samples in a process that is killed `delay` seconds after it began; whether it had answered."""
    command = [sys.executable, "-c", PROGRAM, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begins\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        return "done" in process.stdout.read()


@pytest.mark.parametrize("kill", range(N_KILLS))
def test_a_bulk_decision_is_there_whole_or_not_at_all(kill: int, tmp_path: Path) -> None:
    acknowledged = killed(tmp_path / "review.sqlite", delay=0.012 * kill)
    with closing(ReviewStore(tmp_path / "review.sqlite")) as store:
        count = len(store.decisions())
        assert count in ((N_SAMPLES,) if acknowledged else (0, N_SAMPLES))
        assert sum(store.counts().values()) == count
        store.undo("me")
        assert not store.decisions()
