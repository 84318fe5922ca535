"""The log of review steps in SQLite: append-only, safe for several processes and for a kill at any time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from oga_core.errors import OgaError

# `steps` and `decisions` are the log and only grow. `undone` and `current` follow from it, in the same transaction.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS steps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, client_event_id TEXT UNIQUE, kind TEXT NOT NULL,
  reviewer TEXT NOT NULL, time TEXT NOT NULL, undoes INTEGER REFERENCES steps(seq));
CREATE TABLE IF NOT EXISTS decisions (
  step INTEGER NOT NULL REFERENCES steps(seq), sample_id TEXT NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS undone (step INTEGER PRIMARY KEY, by INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS current (
  sample_id TEXT NOT NULL, reviewer TEXT NOT NULL, settled INTEGER NOT NULL, step INTEGER NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (sample_id, reviewer, settled)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
  sample_id TEXT PRIMARY KEY, reviewer TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_by_step ON decisions(step);
CREATE INDEX IF NOT EXISTS decisions_by_sample ON decisions(sample_id);
CREATE INDEX IF NOT EXISTS steps_by_reviewer ON steps(reviewer, seq);
CREATE INDEX IF NOT EXISTS claims_by_reviewer ON claims(reviewer);
"""


class ReviewLog:
    """The SQLite file at `path`; every step is synced to disk (write-ahead log, full) before it returns."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise OgaError(
                f"{path} cannot be used for decisions: {error}. "
                "Put back a copy of it, or move it away to begin a new review."
            ) from None

    def close(self) -> None:
        """Close the file; what was decided is already on disk."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _read(self, query: str, values: Sequence[object]) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _step(self, kind: str, reviewer: str, event: str | None, undoes: int | None = None) -> tuple[int, bool]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = self._db.execute(
            """INSERT INTO steps (client_event_id, kind, reviewer, time, undoes) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (client_event_id) DO NOTHING RETURNING seq""",
            (event, kind, reviewer, now, undoes),
        ).fetchone()
        if row:
            return row[0], True
        query = "SELECT seq FROM steps WHERE client_event_id = ?"
        return self._db.execute(query, (event,)).fetchone()[0], False

    def _time(self, seq: int) -> str:
        return str(self._db.execute("SELECT time FROM steps WHERE seq = ?", (seq,)).fetchone()[0])

    def _reverse(
        self, kind: Literal["undo", "redo"], reviewer: str, query: str, values: tuple[object, ...], event: str | None
    ) -> list[str]:
        with self._transaction():
            row = self._db.execute(query, values).fetchone()
            target = row[0] if row else None
            if target is None:
                return []
            seq, is_new = self._step(kind, reviewer, event, target)
            if not is_new:
                target = self._db.execute("SELECT undoes FROM steps WHERE seq = ?", (seq,)).fetchone()[0]
            ids = [row[0] for row in self._db.execute("SELECT sample_id FROM decisions WHERE step = ?", (target,))]
            if is_new:
                if kind == "undo":
                    self._db.execute("INSERT INTO undone VALUES (?, ?)", (target, seq))
                else:
                    self._db.execute("DELETE FROM undone WHERE step = ?", (target,))
                settled = self._db.execute("SELECT kind = 'settle' FROM steps WHERE seq = ?", (target,)).fetchone()[0]
                for sample_id in ids:
                    self._recompute(sample_id, reviewer, settled)
        return ids

    def _recompute(self, sample_id: str, reviewer: str, settled: int) -> None:
        key = (sample_id, reviewer, settled)
        self._db.execute("DELETE FROM current WHERE sample_id = ? AND reviewer = ? AND settled = ?", key)
        self._db.execute(
            """INSERT INTO current
               SELECT sample_id, reviewer, ?3, step, action, new_label, note, time
               FROM decisions JOIN steps ON seq = step
               WHERE sample_id = ?1 AND reviewer = ?2 AND (kind = 'settle') = ?3
                 AND step NOT IN (SELECT step FROM undone)
               ORDER BY step DESC LIMIT 1""",
            key,
        )
