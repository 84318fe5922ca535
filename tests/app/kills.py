"""A review over the real server's own protocol while the server is killed again and again."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from app_runs import image_run
from app_server import Server, Visitor
from websockets.exceptions import ConnectionClosed

from oga_core.files import is_leftover, is_temporary
from oga_core.review import ReviewStore
from oga_core.review.decisions import ACTIONS

_QUERY = {"run": "digits", "flagged": "120"}
# From the first press on; a press takes some hundredths of a second, so kills fall before, in and after writing.
_LONGEST_LIFE = 1.5


class Review:
    """A client that presses keys and sends again what is not acknowledged, as the page does; `seed` decides all."""

    def __init__(self, folder: Path, seed: int = 0):
        self.run, self.random = image_run(folder), random.Random(seed)
        self.server = Server(folder, scratch=folder)
        self.samples = [str(name) for name in self.run.table["sample_id"]]
        self.classes = list(self.run.info.classes)
        self.sent: list[dict[str, Any]] = []
        self.pending: list[dict[str, Any]] = []
        self.acknowledged: set[str] = set()
        self.lost_at_once = 0

    def be_killed(self) -> None:
        """Start the server, review until it is killed at a random moment, and look what is on the disk."""
        self.server.start()
        visitor = self._opened()
        life = self.random.uniform(0.0, _LONGEST_LIFE)
        killer = threading.Timer(life, self.server.kill)
        killer.start()
        with contextlib.suppress(ConnectionClosed, OSError):
            while True:
                self._press(visitor, self.random.randint(1, 4))
        killer.join()
        self.lost_at_once += len(self.acknowledged - self.written().keys())

    def finish(self) -> dict[str, int]:
        """Send the rest to a last server; return how many decisions were made, lost and doubled, and what is left."""
        self.server.start()
        visitor = self._opened()
        self._press(visitor, 0)
        left = [path for path in self.server.folder.rglob(".*") if is_temporary(path) and is_leftover(path)]
        self.server.kill()
        written = self.written()
        decisions = [event["id"] for event in self.sent if event["action"] in ACTIONS]
        return {
            "presses": len(self.sent),
            "acknowledged": len(self.acknowledged),
            "acknowledged_but_not_on_disk": self.lost_at_once + len(self.acknowledged - written.keys()),
            "decisions_lost": sum(event_id not in written for event_id in decisions),
            "decisions_doubled": sum(times > 1 for times in written.values()),
            "temporaries_left": len(left),
        }

    def written(self) -> Counter[str]:
        """How many decisions on disk each press has made."""
        store = ReviewStore(self.run.review)
        rows = store._read("SELECT client_event_id FROM steps LEFT JOIN decisions ON step = seq", ())
        store.close()
        return Counter(row[0] for row in rows)

    def _opened(self) -> Visitor:
        visitor = Visitor(self.server)
        visitor.connect()
        visitor.visit("review", **_QUERY)
        return visitor

    def _press(self, visitor: Visitor, count: int) -> None:
        for _ in range(count):
            action = self.random.choice(["keep", "remove", "unsure", "relabel", "relabel", "undo", "redo"])
            event = {
                "id": f"press-{len(self.sent)}",
                "action": action,
                "sample": self.random.choice(self.samples),
                "label": self.random.choice(self.classes),
            }
            self.sent.append(event)
            self.pending.append(event)
        visitor.press("review", visitor.component("review_queue"), self.pending, **_QUERY)
        answer = json.loads(visitor.component("review_queue")[0].json)
        assert answer["errors"] == {}
        done = set(answer["acked"])
        # An undo with nothing to undo is acknowledged and writes nothing.
        self.acknowledged |= {
            event["id"] for event in self.pending if event["id"] in done and event["action"] in ACTIONS
        }
        self.pending = [event for event in self.pending if event["id"] not in done]


def review_while_killed(folder: Path, kills: int, seed: int = 0) -> dict[str, int | float]:
    """Kill the server `kills` times in one review; return what was lost."""
    begun = time.perf_counter()
    review = Review(folder, seed)
    for _ in range(kills):
        review.be_killed()
    return {"kills": kills, **review.finish(), "seconds": round(time.perf_counter() - begun, 1)}
