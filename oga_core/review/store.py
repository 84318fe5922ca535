"""The decisions of the reviewers on one run: decide, undo, redo, claim, agree."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from oga_core.review.agreement import krippendorff_alpha
from oga_core.review.decisions import ACTIONS, Action, Decision, Step, check_step
from oga_core.review.log import ReviewLog
from oga_core.review.stored import stored_decision

__all__ = ["ACTIONS", "Action", "Decision", "ReviewStore", "Step", "standing_decisions"]

_COLUMNS = "sample_id, action, new_label, reviewer, time, note, edit"
# A settled verdict stands over the others; among equals the latest counts.
_RESOLVED = f"""
SELECT {_COLUMNS} FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY sample_id ORDER BY settled DESC, step DESC) AS place FROM current {{where}})
WHERE place = 1
"""


class ReviewStore(ReviewLog):
    """The decisions on one run, in the SQLite file at `path`; every step is on disk before the call returns."""

    def decide(
        self, decisions: Decision | Sequence[Decision], *, client_event_id: str | None = None, settle: bool = False
    ) -> int:
        """Write decisions of one reviewer as one step and return its number.

        A `client_event_id` that was written before changes nothing and returns the earlier number.
        With `settle` the decisions stand over those of all reviewers.
        """
        batch = [decisions] if isinstance(decisions, Decision) else list(decisions)
        check_step(batch)
        with self._transaction():
            seq, is_new = self._step("settle" if settle else "decide", batch[0].reviewer, client_event_id)
            if is_new:
                now = self._time(seq)
                rows = [(seq, d.sample_id, d.action, d.new_label, d.note, d.edit_json) for d in batch]
                self._db.executemany("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._db.executemany(
                    "INSERT OR REPLACE INTO current VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (d.sample_id, d.reviewer, int(settle), seq, d.action, d.new_label, d.note, now, d.edit_json)
                        for d in batch
                    ],
                )
                self._db.executemany(
                    "DELETE FROM claims WHERE sample_id = ? AND reviewer = ?",
                    [(d.sample_id, d.reviewer) for d in batch],
                )
        return seq

    def undo(self, reviewer: str, seq: int | None = None, *, client_event_id: str | None = None) -> list[str]:
        """Take back the reviewer's last step, or step `seq`; return the ids it had decided, none if nothing is left."""
        query = """
            SELECT MAX(seq) FROM steps WHERE reviewer = ?1 AND kind IN ('decide', 'settle')
              AND seq = COALESCE(?2, seq) AND seq NOT IN (SELECT step FROM undone)"""
        return self._reverse("undo", reviewer, query, (reviewer, seq), client_event_id)

    def redo(self, reviewer: str, *, client_event_id: str | None = None) -> list[str]:
        """Put back what the reviewer undid last, unless a decision came since; return the ids."""
        query = """
            SELECT step FROM undone JOIN steps ON steps.seq = step WHERE reviewer = ?1 AND by > (
              SELECT MAX(seq) FROM steps WHERE reviewer = ?1 AND kind IN ('decide', 'settle'))
            ORDER BY by DESC LIMIT 1"""
        return self._reverse("redo", reviewer, query, (reviewer,), client_event_id)

    def is_undone(self, seq: int) -> bool:
        """Whether step `seq` has been taken back, by whatever way."""
        return bool(self._read("SELECT 1 FROM undone WHERE step = ?", (seq,)))

    def decisions(self, reviewer: str | None = None) -> dict[str, Decision]:
        """Return what stands for every decided sample, or what one reviewer decided."""
        where, values = ("WHERE reviewer = ?", (reviewer,)) if reviewer else ("", ())
        rows = self._read(_RESOLVED.format(where=where), values)
        return {row[0]: self._decision(row) for row in rows}

    def decision(self, sample_id: str, reviewer: str | None = None) -> Decision | None:
        """Return what stands for one sample."""
        where = "WHERE sample_id = ?"
        values = [sample_id]
        if reviewer:
            where = where + " AND reviewer = ?"
            values = [sample_id, reviewer]
        rows = self._read(_RESOLVED.format(where=where), values)
        return self._decision(rows[0]) if rows else None

    def changes(self, since: int) -> tuple[int, dict[str, Decision | None]]:
        """Return the last step's number and what now stands for the samples that steps after `since` touched."""
        touched = """
            SELECT sample_id FROM decisions WHERE step > ?1
            UNION SELECT d.sample_id FROM steps JOIN decisions d ON d.step = steps.undoes WHERE steps.seq > ?1"""
        with self._database.guarded():
            self._db.execute("BEGIN")
            last = self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM steps").fetchone()[0]
            if last == since:
                self._db.execute("COMMIT")
                return last, {}
            standing: dict[str, Decision | None] = {}
            if since:
                standing = dict.fromkeys(row[0] for row in self._db.execute(touched, (since,)))
            where = f"WHERE sample_id IN ({touched})" if since else ""
            rows = self._db.execute(_RESOLVED.format(where=where), (since,) if since else ()).fetchall()
            self._db.execute("COMMIT")
        return last, standing | {row[0]: self._decision(row) for row in rows}

    def votes(self) -> dict[str, list[Decision]]:
        """Return every reviewer's own decision, by sample, settlements apart."""
        result: dict[str, list[Decision]] = {}
        for row in self._read(f"SELECT {_COLUMNS} FROM current WHERE settled = 0 ORDER BY step", ()):
            result.setdefault(row[0], []).append(self._decision(row))
        return result

    def disagreements(self, settled: bool = False) -> dict[str, list[Decision]]:
        """Return the votes on samples on which reviewers differ, those already settled only with `settled`."""
        closed = {row[0] for row in self._read("SELECT sample_id FROM current WHERE settled = 1", ())}
        return {
            sample_id: votes
            for sample_id, votes in self.votes().items()
            if len({vote.verdict for vote in votes}) > 1 and (settled or sample_id not in closed)
        }

    def agreement(self) -> float | None:
        """Krippendorff's alpha of the verdicts, at most 1, 0 = chance; None without shared samples."""
        return krippendorff_alpha([[vote.verdict for vote in votes] for votes in self.votes().values()])

    def reviewers(self) -> dict[str, int]:
        """Return how many samples each reviewer has decided."""
        return dict(
            self._read(
                "SELECT reviewer, COUNT(*) FROM current WHERE settled = 0 GROUP BY reviewer ORDER BY reviewer", ()
            )
        )

    def counts(self) -> dict[str, int]:
        """Return the number of samples for every action, as it stands."""
        rows = self._read(f"SELECT action, COUNT(*) FROM ({_RESOLVED.format(where='')}) GROUP BY action", ())
        return {**dict.fromkeys(ACTIONS, 0), **dict(rows)}

    def pace(self, reviewer: str, last: int = 50, pause: float = 120.0) -> float | None:
        """Median seconds between the reviewer's last decisions, breaks longer than `pause` left out."""
        rows = self._read(
            "SELECT time FROM steps WHERE reviewer = ? AND kind = 'decide' ORDER BY seq DESC LIMIT ?", (reviewer, last)
        )
        times = [datetime.fromisoformat(row[0]).timestamp() for row in rows]
        gaps = sorted(a - b for a, b in pairwise(times) if a - b <= pause)
        return gaps[len(gaps) // 2] if gaps else None

    def history(self, sample_id: str | None = None, limit: int = 200) -> list[Step]:
        """Return the latest steps, newest first, of the whole run or those that touched one sample."""
        where = ""
        if sample_id is not None:
            steps = "SELECT step FROM decisions WHERE sample_id = ?1"
            where = f"WHERE seq IN ({steps}) OR undoes IN ({steps})"
        own = "step = COALESCE(undoes, seq)" + (" AND sample_id = ?1" if sample_id is not None else "")
        rows = self._read(
            f"""SELECT seq, kind, reviewer, time,
                  (SELECT COUNT(*) FROM decisions WHERE step = COALESCE(undoes, seq)), undoes,
                  seq IN (SELECT step FROM undone), d.sample_id, d.action, d.new_label, d.note, d.edit
                FROM steps LEFT JOIN decisions d ON d.rowid = (SELECT MIN(rowid) FROM decisions WHERE {own})
                {where} ORDER BY seq DESC LIMIT {int(limit)}""",
            () if sample_id is None else (sample_id,),
        )
        return [
            Step(
                seq=seq,
                kind=kind,
                reviewer=who,
                time=time,
                n_samples=n_samples,
                undoes=undoes,
                undone=bool(undone),
                first=self._decision((first, action, new_label, who, time, note, edit)) if first else None,
            )
            for seq, kind, who, time, n_samples, undoes, undone, first, action, new_label, note, edit in rows
        ]

    def claim(self, reviewer: str, queue: Iterable[str], n: int, seconds: float = 300.0, overlap: int = 1) -> list[str]:
        """Reserve the first `n` samples of `queue` for a reviewer and return their ids, in order.

        Skipped: what the reviewer decided, what `overlap` reviewers decided, what others hold. A claim ends with the
        decision or after `seconds`, so that a closed browser blocks nothing.
        """
        now = clock.time()
        taken: list[str] = []
        with self._transaction():
            self._db.execute("DELETE FROM claims WHERE expires < ?", (now,))
            for sample_id in queue:
                if len(taken) == n:
                    break
                by_me, by_all, held = self._db.execute(
                    """SELECT COALESCE(SUM(reviewer = ?2), 0), COUNT(DISTINCT reviewer),
                         (SELECT COUNT(*) FROM claims WHERE sample_id = ?1 AND reviewer != ?2)
                       FROM current WHERE sample_id = ?1""",
                    (sample_id, reviewer),
                ).fetchone()
                if not by_me and by_all + held < overlap:
                    taken.append(sample_id)
            rows = [(sample_id, reviewer, now + seconds) for sample_id in taken]
            self._db.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", rows)
        return taken

    def release(self, reviewer: str) -> None:
        """Give back everything the reviewer holds."""
        with self._transaction():
            self._db.execute("DELETE FROM claims WHERE reviewer = ?", (reviewer,))

    def _decision(self, row: Sequence[Any]) -> Decision:
        return stored_decision(row, self.path)


def standing_decisions(path: Path) -> dict[str, Decision]:
    """Return what stands for every decided sample in the file at `path`; nothing where nobody has reviewed yet."""
    if not path.is_file():
        return {}
    with closing(ReviewStore(path)) as store:
        return store.decisions()
