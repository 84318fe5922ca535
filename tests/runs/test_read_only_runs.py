"""A run that cannot be written, or whose decisions another program holds: looked at, exported, not changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from export_runs import export_here, previews_here
from good_runs import good_run
from PIL import Image

from oga_core.errors import OgaError
from oga_core.exports.report import write_report
from oga_core.review import Decision, ReviewStore, database
from oga_core.review.board import DecisionBoard
from oga_core.runs.evidence import Evidence
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

NOBODY = 65534


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Take the right to write from `folder` and what is in it, and from root its power to write anyway."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def out() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(run: Path, copy: Path) -> Path:
    """Copy a run while its store is open: what a killed server leaves, the last decision in the write-ahead log."""
    with closing(ReviewStore(run / "review.sqlite")) as store:
        store.decide(Decision("3", "unsure"))
        shutil.copytree(run, copy)
    assert (copy / "review.sqlite-wal").stat().st_size > 0
    return copy


def test_a_read_only_run_is_looked_at_and_exported(folder: Path, out: Path) -> None:
    Image.init()  # loads its parts on first use, and nobody may not read every Python
    run = killed(good_run(folder), folder / "copy")
    before = contents(run)
    with without_rights(run):
        data = ScoredRun(run)
        with closing(ReviewStore(run / "review.sqlite")) as store:
            assert store.is_read_only
            board = DecisionBoard(data, store).refresh()
            assert {key: decision.action for key, decision in board.decisions.items()} == {
                "0": "relabel",
                "1": "remove",
                "3": "unsure",
            }
            assert store.claim("me", ["4", "5"], 1) == ["4"]
            assert Evidence(data).neighbours(0)
        opened = RunFolder.open(run)
        for format in ("csv", "fixed"):  # in this process, since nobody may not start every Python
            assert export_here(opened, format, out / format).stat().st_size > 0
        assert write_report(opened, out / "report.html", previews=partial(previews_here, opened)).stat().st_size > 0
    assert contents(run) == before


def test_decisions_on_a_read_only_run_are_refused(folder: Path) -> None:
    run = good_run(folder)
    with without_rights(run), closing(ReviewStore(run / "review.sqlite")) as store:
        for change in (lambda: store.decide(Decision("2", "keep")), lambda: store.undo("me")):
            with pytest.raises(OgaError, match=r"Decisions cannot be written: .* is read-only\. Copy the run folder"):
                change()
        assert set(store.decisions()) == {"0", "1"}


def test_a_read_only_run_without_decisions_opens(folder: Path) -> None:
    run = good_run(folder)
    for file in run.glob("review.sqlite*"):
        file.unlink()
    with without_rights(run), closing(ReviewStore(run / "review.sqlite")) as store:
        assert store.decisions() == {}
        assert store.history() == []
    assert not (run / "review.sqlite").exists()


def test_a_file_that_another_program_holds_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    run = good_run(folder)
    with closing(ReviewStore(run / "review.sqlite")) as store:
        with closing(sqlite3.connect(run / "review.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OgaError, match=r"review\.sqlite is in use: another program .* nothing was written"):
                store.decide(Decision("2", "keep"))
            assert set(store.decisions()) == {"0", "1"}
        store.decide(Decision("2", "keep"))
        assert set(store.decisions()) == {"0", "1", "2"}
