"""A run folder: one scoring at a time, of the data that it holds, and nothing left of writers that were killed."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from here import score_here

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.files import remove_leftovers, temporary_folder, write_whole
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.runs.folder import RunFolder
from oga_core.runs.lock import LOCK, only_scoring

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = SAMPLE_DATA / "tumours.csv"
MODEL = SAMPLE_DATA / "tumours.pt2"
OPTIONS = ScoreOptions(label_column="diagnosis", map="none", scores=("loss",))
IS_UNIX = sys.platform != "win32"


@contextlib.contextmanager
def another_process(code: str, *words: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has done `code` and waits, until it is killed."""
    script = f"import sys; from pathlib import Path; words = [Path(word) for word in sys.argv[1:]]\n{code}"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


HOLDING = """
from oga_core.runs.lock import only_scoring
with only_scoring(words[0], "/data.csv"):
    print("ready", flush=True)
    input()
"""
WRITING = """
from oga_core.files import write_whole
def write(path):
    path.write_text("half")
    print("ready", flush=True)
    input()
write_whole(words[0], write)
"""
WRITING_A_FOLDER = """
from oga_core.exports.members import whole_folder
with whole_folder(words[0]) as folder:
    (folder / "member").write_text("half")
    print("ready", flush=True)
    input()
"""


def test_a_second_scoring_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with another_process(HOLDING, tmp_path):
        with pytest.raises(OgaError, match=rf"^{tmp_path} is being scored already by another process\. Wait for it"):
            score(TUMOURS, MODEL, tmp_path, OPTIONS)
        assert not (tmp_path / "run.json").exists()


def test_two_in_one_process_are_refused_too(tmp_path: Path) -> None:
    with (
        only_scoring(tmp_path, "/data.csv"),
        pytest.raises(OgaError, match="already"),
        only_scoring(tmp_path, "/data.csv"),
    ):
        pass


def test_the_lock_of_a_killed_scoring_does_not_block(tmp_path: Path) -> None:
    with another_process(HOLDING, tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / LOCK).exists()
        run = score_here(TUMOURS, MODEL, tmp_path, OPTIONS)
    assert run.info.status == "done"


def test_the_run_of_other_data_is_replaced_only_when_asked(tmp_path: Path) -> None:
    run = score_here(TUMOURS, MODEL, tmp_path / "run", OPTIONS)
    run.review.write_text("decisions")
    other = tmp_path / "other.csv"
    other.write_bytes(TUMOURS.read_bytes())
    with pytest.raises(OgaError, match=r"holds the run of other data, .*tumours\.csv\. Give another folder, or --over"):
        score_here(other, MODEL, run.path, OPTIONS)
    assert run.info.status == "done"
    assert run.review.read_text() == "decisions"
    score_here(other, MODEL, run.path, OPTIONS, overwrite=True)
    assert run.info.data.path == str(other)
    assert not run.review.exists()


def test_data_that_moved_is_the_same_data(tmp_path: Path) -> None:
    data = tmp_path / "a" / "data.csv"
    data.parent.mkdir()
    data.write_bytes(TUMOURS.read_bytes())
    run = score_here(data, MODEL, tmp_path / "run", OPTIONS)
    run.review.write_text("decisions")
    moved = tmp_path / "data.csv"
    data.rename(moved)
    assert score_here(moved, MODEL, run.path, OPTIONS).info.data.path == str(moved)
    assert run.review.read_text() == "decisions"


@pytest.mark.skipif(not IS_UNIX, reason="locks on files that are being written are Unix's")
@pytest.mark.parametrize("writing", [WRITING, WRITING_A_FOLDER])
def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(writing: str, tmp_path: Path) -> None:
    with another_process(writing, tmp_path / "target") as process:
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with only_scoring(tmp_path, "/data.csv"):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_scoring_that_was_killed_at_once_can_be_started_again(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / ".run.json.0123456789abcdef.part").touch()
    assert RunFolder.create(tmp_path).path == tmp_path
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OgaError, match="not empty and is not a run"):
        RunFolder.create(tmp_path)


@pytest.mark.skipif(not IS_UNIX, reason="modes are Unix's")
@pytest.mark.parametrize("mask", [0o002, 0o027, 0o077])
def test_files_have_the_mode_that_the_person_wants(mask: int, tmp_path: Path) -> None:
    former = os.umask(mask)
    try:
        write_whole(tmp_path / "file", lambda path: path.write_text("x"))
        with temporary_folder(tmp_path / "folder") as folder:
            folder.rename(tmp_path / "folder")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~mask


@pytest.mark.skipif(not IS_UNIX, reason="modes are Unix's")
def test_everything_that_a_run_writes_honours_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        run = score(TUMOURS, MODEL, tmp_path / "run", OPTIONS)
    finally:
        os.umask(former)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in run.path.rglob("*")}
    assert {path for path, mode in modes.items() if mode != (0o750 if path.is_dir() else 0o640)} == set()


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 120)
    write_whole(target, lambda path: path.write_text("x"))
    assert target.read_text() == "x"
