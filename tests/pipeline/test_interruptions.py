"""A run that is killed, cancelled or out of disk: what was finished is kept, and the person is told."""

import errno
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from here import score_here

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.pipeline import score as pipeline
from oga_core.pipeline import worker_pass
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.runs import folder as runs
from oga_core.runs.folder import RunFolder
from oga_core.runs.info import read_json

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = SAMPLE_DATA / "tumours.csv", SAMPLE_DATA / "tumours.pt2"
OPTIONS = ScoreOptions(label_column="diagnosis", map="pca", scores=("loss", "margin", "l2_norm", "isolation_forest"))


def _script(body: str) -> list[str]:
    """A process that scores as these tests do, in its one process, and does `body` at every event."""
    code = f"""
import os, signal, sys
from pathlib import Path
from oga_core.pipeline import job as gradient_job
from oga_core.pipeline import score as pipeline
from oga_core.pipeline import worker_pass
from oga_core.pipeline.options import ScoreOptions
from oga_core.gradients import walk
assert walk.SECONDS_BETWEEN_RECORDS > 0
walk.SECONDS_BETWEEN_RECORDS = -1.0
def at(event):
    {body}
def here(name, arguments, **options):
    return {{**gradient_job.run(arguments, at), "jail": {{"missing": []}}}}
worker_pass.run_job = here
data, model, run = map(Path, sys.argv[1:])
options = ScoreOptions(
    label_column="diagnosis", map="none", scores=("loss",), parameters="all", batch_size=64
)
pipeline.score(data, model, run, options, at)
"""
    return [sys.executable, "-c", code]


KILLED_OPTIONS = replace(OPTIONS, map="none", scores=("loss",), parameters="all", batch_size=64)


def _killed(body: str, folder: Path) -> None:
    done = subprocess.run([*_script(body), *map(str, TUMOURS), str(folder)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert RunFolder(folder).info.status == "running"


def _batches(events: list[dict[str, Any]]) -> list[int]:
    return [event["done"] for event in events if event["stage"] == "gradients" and "done" in event]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[RunFolder, list[int]]:
    events: list[dict[str, Any]] = []
    run = score_here(*TUMOURS, tmp_path_factory.mktemp("unbroken") / "run", KILLED_OPTIONS, events.append)
    return run, _batches(events)


def _same_arrays(one: RunFolder, other: RunFolder) -> None:
    names = sorted(path.name for path in one.arrays.glob("*.npy"))
    assert names == sorted(path.name for path in other.arrays.glob("*.npy"))
    for name in names:
        np.testing.assert_array_equal(np.load(one.arrays / name), np.load(other.arrays / name))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_pass_that_was_killed_in_its_middle_goes_on_to_the_same_arrays(unbroken, tmp_path):
    whole, batches = unbroken
    assert batches[0] == 64
    _killed("event.get('done', 0) >= 256 and os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "run")
    events: list[dict[str, Any]] = []
    run = score_here(*TUMOURS, tmp_path / "run", KILLED_OPTIONS, events.append)
    assert _batches(events) == [done for done in batches if done > 256]
    _same_arrays(run, whole)
    pd.testing.assert_frame_equal(run.table, whole.table)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_pass_that_was_finished_is_not_repeated_when_its_scores_were_killed(unbroken, tmp_path):
    whole, _ = unbroken
    _killed("event['stage'] == 'scores' and os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "run")
    events: list[dict[str, Any]] = []
    run = score_here(*TUMOURS, tmp_path / "run", KILLED_OPTIONS, events.append)
    assert run.info.status == "done"
    assert sum(done < 569 for done in _batches(events)) == 0
    _same_arrays(run, whole)
    pd.testing.assert_frame_equal(run.table, whole.table)


FULL = OSError(errno.ENOSPC, "No space left on device")


def _raise(error: BaseException) -> Any:
    def function(*arguments: object, **options: object) -> None:
        raise error

    return function


def test_a_full_disk_is_said_with_its_folder_and_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pass, "run_job", _raise(FULL))
    with pytest.raises(OgaError, match=rf"The folder {tmp_path / 'run'} cannot be written: No space left"):
        score(*TUMOURS, tmp_path / "run", OPTIONS)
    info = RunFolder(tmp_path / "run").info
    assert info.status == "failed"
    assert "No space left" in info.error


def test_a_run_does_not_stay_running_where_not_even_its_status_finds_room(tmp_path, monkeypatch):
    def fill(*arguments: object, **options: object) -> None:
        monkeypatch.setattr(runs, "write_whole", _raise(OgaError("full")))
        raise FULL

    monkeypatch.setattr(worker_pass, "run_job", fill)
    before = score_begun(tmp_path / "begun")
    with pytest.raises(OgaError, match="No space left"):
        score(*TUMOURS, tmp_path / "run", OPTIONS)
    after = read_json(tmp_path / "run" / "run.json")
    assert after.pop("status") == "failed"
    assert after.keys() == before.keys() - {"status"}


def score_begun(folder: Path) -> dict[str, Any]:
    run = RunFolder.create(folder)
    pipeline.begin(run, {"path": str(TUMOURS[0])}, TUMOURS[1], OPTIONS)
    return read_json(run.path / "run.json")


def test_a_run_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OgaError, match=r"The folder .*file/run cannot be written: Not a directory"):
        RunFolder.create(tmp_path / "file" / "run")


def test_a_file_that_cannot_be_written_names_its_folder_and_leaves_nothing(tmp_path):
    with pytest.raises(OgaError, match=rf"{tmp_path / 'nowhere'} cannot be written: No such file"):
        write_whole(tmp_path / "nowhere" / "file", lambda path: path.write_text("text"))
    with pytest.raises(OgaError, match=rf"{tmp_path} cannot be written: No space left"):
        write_whole(tmp_path / "file", _raise(FULL))
    with pytest.raises(FileNotFoundError, match=r"source\.csv"):
        write_whole(tmp_path / "file", lambda path: Path("source.csv").read_text())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_interrupted_says_cancelled(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pass, "run_job", _raise(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        score(*TUMOURS, tmp_path / "run", OPTIONS)
    info = RunFolder(tmp_path / "run").info
    assert info.status == "cancelled"
    assert info.error.startswith("Cancelled. What was finished is kept")
