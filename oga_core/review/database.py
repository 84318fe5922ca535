"""The SQLite file of a review: opened whatever state it is in, with errors that a person can act on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oga_core.errors import OgaError

VERSION = 2
"""The version of the tables. Files from before there was one say 0 and have the tables of 1, without edits."""
WAIT_SECONDS = 10.0
"""Another writer needs milliseconds; one that holds the file longer hangs, and a person should hear of it."""

# `steps` and `decisions` are the log and only grow. `undone` and `current` follow from it, in the same transaction.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS steps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, client_event_id TEXT UNIQUE, kind TEXT NOT NULL,
  reviewer TEXT NOT NULL, time TEXT NOT NULL, undoes INTEGER REFERENCES steps(seq));
CREATE TABLE IF NOT EXISTS decisions (
  step INTEGER NOT NULL REFERENCES steps(seq), sample_id TEXT NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL, edit TEXT);
CREATE TABLE IF NOT EXISTS undone (step INTEGER PRIMARY KEY, by INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS current (
  sample_id TEXT NOT NULL, reviewer TEXT NOT NULL, settled INTEGER NOT NULL, step INTEGER NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL, time TEXT NOT NULL, edit TEXT,
  PRIMARY KEY (sample_id, reviewer, settled)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
  sample_id TEXT PRIMARY KEY, reviewer TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_by_step ON decisions(step);
CREATE INDEX IF NOT EXISTS decisions_by_sample ON decisions(sample_id);
CREATE INDEX IF NOT EXISTS steps_by_reviewer ON steps(reviewer, seq);
CREATE INDEX IF NOT EXISTS claims_by_reviewer ON claims(reviewer);
"""


class ReviewDatabase:
    """One connection, safe for several threads; every transaction is synced to disk (write-ahead log, full).

    On storage that cannot be written, a copy is opened in its place: it can be read, and `is_read_only` is true.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.RLock()
        self.is_read_only = not _is_writable(path)
        self._copy = tempfile.TemporaryDirectory(prefix="oga-review-") if self.is_read_only else None
        with self.guarded():
            source = _copied(path, Path(self._copy.name)) if self._copy else path
            self.connection = sqlite3.connect(
                source, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _prepare(self) -> None:
        """Refuse files of others and of newer versions before anything is written to them; add missing tables."""
        tables = {row[0] for row in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "steps" not in tables:
            raise OgaError(f"{self.path} holds the database of another program. Move it away to begin a new review.")
        query = "SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%'"
        if program := self.connection.execute(query).fetchone():
            raise OgaError(
                f"{self.path} cannot be used for decisions: {program[0][:80]!r} in it computes what it shows, and may "
                "do so forever. Put back a copy of it, or move it away to begin a new review."
            )
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise OgaError(
                f"{self.path} was written by a newer version of oga (tables {version}; this version reads up to "
                f"{VERSION}). Install that version to open the review."
            )
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        if version < VERSION:
            self.connection.executescript(_SCHEMA)
            self._add_edits()

    def _add_edits(self) -> None:
        """Give tables of version 1 the column of edits; whoever opens the file at the same time finds it there."""
        with self.transaction():
            for table in ("decisions", "current"):
                columns = self.connection.execute(f"PRAGMA table_info({table})").fetchall()
                if "edit" not in {name for _, name, *_ in columns}:
                    self.connection.execute(f"ALTER TABLE {table} ADD COLUMN edit TEXT")
            self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file; what was decided is already on disk."""
        with self.lock:
            self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Hold the lock, and turn SQLite's errors about the file into ours."""
        with self.lock:
            try:
                yield
            except sqlite3.ProgrammingError:
                raise
            except (sqlite3.Error, OSError) as error:
                if "locked" in str(error):
                    raise OgaError(
                        f"{self.path} is in use: another program has held it for {WAIT_SECONDS:g} seconds, and nothing "
                        "was written. Close that program, and try again."
                    ) from None
                raise OgaError(
                    f"{self.path} cannot be used for decisions: {error}. "
                    "Put back a copy of it, or move it away to begin a new review."
                ) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the one writer at a time."""
        with self.guarded():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def check_writable(self) -> None:
        """Raise `OgaError` where decisions cannot be written."""
        if self.is_read_only:
            raise OgaError(
                f"Decisions cannot be written: {self.path.parent} is read-only. Copy the run folder to a place "
                "that you may write to, and open it there."
            )


def _is_writable(path: Path) -> bool:
    by_effect = os.access in os.supports_effective_ids
    return all(os.access(place, os.W_OK, effective_ids=by_effect) for place in (path.parent, path) if place.exists())


def _copied(path: Path, folder: Path) -> Path:
    """Copy the file with its write-ahead log, which holds the latest decisions where a server was killed."""
    for file in (path, path.with_name(path.name + "-wal")):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    return folder / path.name
