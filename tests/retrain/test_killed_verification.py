"""A retraining that is killed, crashes or is cancelled keeps the earlier answer and every training it has finished."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from app_runs import image_run
from here import verify_here

from oga_core.files import is_temporary
from oga_core.retrain import verify
from oga_core.retrain.arms import NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED
from oga_core.retrain.trials import UnfinishedTrials, without_evidence
from oga_core.runs.folder import RunFolder
from oga_core.worker.limits import Cancelled, WorkerError

ARMS = (NOTHING_CHANGED, TRIMMED, RANDOM_TRIM, RELABELLED)

PROGRAM = """
import sys
from pathlib import Path
from oga_core.retrain import verify
from oga_core.runs.folder import RunFolder
verify(RunFolder(Path(sys.argv[1])), seeds=400, trim_fraction=0.1, progress=lambda event: print(event, flush=True))
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")


def test_a_killed_retraining_leaves_the_earlier_answer(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    earlier = verify_here(run, seeds=1, trim_fraction=0.1)
    command = [sys.executable, "-c", PROGRAM, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("retraining" in line for line in iter(process.stdout.readline, ""))
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    assert json.loads((run.path / "verify.json").read_bytes()) == earlier
    verify_here(run, seeds=1, trim_fraction=0.1)
    assert [path.name for path in run.path.rglob("*") if is_temporary(path) or path.name.startswith(".verify")] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return image_run(tmp_path_factory.mktemp("trials"))


def finished(run: RunFolder) -> list[dict[str, Any]]:
    """The trainings on disk."""
    lines = (run.path / "verify_trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def stopped(run: RunFolder, trials: int, how: str) -> list[dict[str, Any]]:
    """Compare with many seeds, and stop the worker or the comparison once so many trainings are on disk."""

    def enough() -> bool:
        return (run.path / "verify_trials.jsonl").is_file() and len(finished(run)) >= trials

    def cancelled() -> bool:
        if enough() and how == "crash":
            for worker in psutil.Process().children():
                worker.send_signal(signal.SIGSEGV)
        return enough() and how == "cancel"

    with pytest.raises(Cancelled if how == "cancel" else WorkerError, match=r"start the same run again|crashed"):
        verify(run, seeds=5, trim_fraction=0.1, cancelled=cancelled)
    return finished(run)


@pytest.mark.parametrize("how", ["cancel", "crash"])
def test_the_same_comparison_goes_on_after_the_trainings_that_it_has(run: RunFolder, how: str) -> None:
    before = stopped(run, 3, how)
    assert [(trial["arm"], trial["seed"]) for trial in before][:3] == [(arm, 0) for arm in ARMS[:3]]
    events: list[dict[str, Any]] = []
    result = verify_here(run, seeds=5, trim_fraction=0.1, progress=events.append)
    assert max(event.get("total", 0) for event in events) == 40 - len(before)  # with four points of the curve a seed
    assert result["trials"][: len(before)] == without_evidence(before)
    assert len({(trial["arm"], trial["seed"]) for trial in result["trials"]}) == 20
    assert not (run.path / "verify_trials.jsonl").exists()


def test_another_comparison_begins_anew_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    read = tmp_path / "data.csv"
    read.write_text("a")
    UnfinishedTrials(tmp_path, {"seeds": 3}, [read]).append({"arm": "trimmed", "seed": 0})
    with (tmp_path / "verify_trials.jsonl").open("a") as file:
        file.write('{"arm": "trimmed", "se')
    again = UnfinishedTrials(tmp_path, {"seeds": 3}, [read])
    again.append({"arm": "trimmed", "seed": 1})
    assert [trial["seed"] for trial in UnfinishedTrials(tmp_path, {"seeds": 3}, [read]).trials] == [0, 1]
    assert UnfinishedTrials(tmp_path, {"seeds": 4}, [read]).trials == []
    UnfinishedTrials(tmp_path, {"seeds": 3}, [read]).append({"arm": "trimmed", "seed": 0})
    read.write_text("other data")
    assert UnfinishedTrials(tmp_path, {"seeds": 3}, [read]).trials == []
