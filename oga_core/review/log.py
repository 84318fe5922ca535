"""The log of review steps in SQLite: append-only, safe for several processes and for a kill at any time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from oga_core.review.database import ReviewDatabase


class ReviewLog:
    """The steps in the SQLite file at `path`; every one is on disk before it returns."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._database = ReviewDatabase(self.path)
        self._db = self._database.connection
        self._transaction = self._database.transaction

    def close(self) -> None:
        """Close the file; what was decided is already on disk."""
        self._database.close()

    @property
    def is_read_only(self) -> bool:
        """Whether the storage cannot be written, so that decisions can only be looked at."""
        return self._database.is_read_only

    def _read(self, query: str, values: Sequence[object]) -> list[Any]:
        with self._database.guarded():
            return self._db.execute(query, values).fetchall()

    def _step(self, kind: str, reviewer: str, event: str | None, undoes: int | None = None) -> tuple[int, bool]:
        self._database.check_writable()
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
               SELECT sample_id, reviewer, ?3, step, action, new_label, note, time, edit
               FROM decisions JOIN steps ON seq = step
               WHERE sample_id = ?1 AND reviewer = ?2 AND (kind = 'settle') = ?3
                 AND step NOT IN (SELECT step FROM undone)
               ORDER BY step DESC LIMIT 1""",
            key,
        )
