"""Whether a decision can be lost: the server is killed at random moments, and four reviewers work at once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from oga_app.components.review.review_queue import ReviewEvent, _receive
from oga_app.components.sample_view import SampleView
from oga_core.review import ReviewStore
from oga_core.review.decisions import ACTIONS, Decision

CLASSES = [f"class {i}" for i in range(10)]
FORK = multiprocessing.get_context("fork")


class Backend:
    """The review's server side over the real store."""

    def __init__(self, path: Path, reviewer: str):
        self.store, self.reviewer = ReviewStore(path), reviewer

    def upcoming(self, count: int) -> Sequence[str]:
        return []

    def view(self, sample_id: str) -> SampleView:
        return SampleView(sample_id)

    def progress(self) -> dict[str, object]:
        return {}

    def apply(self, event: ReviewEvent) -> Sequence[str] | None:
        if event.action == "undo":
            return self.store.undo(self.reviewer, client_event_id=event.event_id)
        if event.action == "redo":
            return self.store.redo(self.reviewer, client_event_id=event.event_id)
        decision = Decision(event.sample_id, event.action, event.new_label, self.reviewer, note=event.note)
        self.store.decide(decision, client_event_id=event.event_id)
        return None


def _serve(path: Path, link: Connection) -> None:
    """Receive messages as the component's callback does, and acknowledge what is on disk."""
    backend, memory = Backend(path, "me"), {"done": {}, "last": [], "again": []}
    while True:
        _receive(backend, link.recv(), memory, CLASSES)
        link.send(memory["last"])


def kills(count: int, seed: int = 0) -> dict[str, object]:
    """Kill the server `count` times at random in the review of a client that sends again what is not acknowledged."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "review.sqlite"
        ReviewStore(path).close()
        sent: list[dict[str, object]] = []
        pending: list[dict[str, object]] = []
        acknowledged: set[object] = set()
        early = killed = 0
        while killed < count:
            ours, theirs = FORK.Pipe()
            server = FORK.Process(target=_serve, args=(path, theirs))
            server.start()
            theirs.close()
            end = time.monotonic() + rng.uniform(0.002, 0.15)
            while True:
                number = len(sent)
                action = rng.choice(["keep", "remove", "unsure", "relabel", "undo", "redo"])
                event = {
                    "id": f"press-{number}",
                    "action": action,
                    "sample": f"s{number}",
                    "label": rng.choice(CLASSES),
                }
                sent.append(event)
                pending.append(event)
                ours.send(pending)
                while not ours.poll(0.0005) and time.monotonic() < end:
                    pass
                if time.monotonic() >= end:
                    break
                done = set(ours.recv())
                # An undo with nothing to undo is acknowledged and writes nothing.
                acknowledged |= {event["id"] for event in pending if event["id"] in done and event["action"] in ACTIONS}
                pending = [event for event in pending if event["id"] not in done]
            os.kill(server.pid, signal.SIGKILL)  # type: ignore[arg-type]
            server.join()
            killed += 1
            early += len(acknowledged - _written(path).keys())
        backend, memory = Backend(path, "me"), {"done": {}, "last": [], "again": []}
        _receive(backend, pending, memory, CLASSES)
        written = _written(path)
        decisions = [event["id"] for event in sent if event["action"] in ACTIONS]
        return {
            "kills": killed,
            "presses": len(sent),
            "acknowledged_but_not_on_disk": early,
            "decisions_lost": sum(event_id not in written for event_id in decisions),
            "decisions_doubled": sum(times > 1 for times in written.values()),
        }


def _written(path: Path) -> Counter[str]:
    """How many decisions on disk each press has made."""
    store = ReviewStore(path)
    rows = store._read("SELECT client_event_id FROM steps LEFT JOIN decisions ON step = seq", ())
    store.close()
    return Counter(row[0] for row in rows)


def _review(path: Path, reviewer: str, samples: Sequence[str], decisions: int, result: Connection) -> None:
    store, done, times = ReviewStore(path), 0, []
    while done < decisions:
        for sample_id in store.claim(reviewer, iter(samples), min(20, decisions - done)):
            begun = time.perf_counter()
            store.decide(Decision(sample_id, "keep", reviewer=reviewer), client_event_id=f"{reviewer}-{sample_id}")
            times.append(time.perf_counter() - begun)
            done += 1
    result.send(times)


def reviewers(people: int = 4, decisions: int = 1000) -> dict[str, object]:
    """Let several reviewers decide on one run at once, each in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "review.sqlite"
        ReviewStore(path).close()
        samples = [f"s{i}" for i in range(people * decisions)]
        begun = time.perf_counter()
        links = []
        for person in range(people):
            ours, theirs = FORK.Pipe()
            FORK.Process(target=_review, args=(path, f"reviewer {person}", samples, decisions, theirs)).start()
            links.append(ours)
        times = sorted(second for link in links for second in link.recv())
        store = ReviewStore(path)
        counts, twice = store.reviewers(), len(store.disagreements()) + sum(len(v) > 1 for v in store.votes().values())
        store.close()
        return {
            "reviewers": people,
            "decisions_each": decisions,
            "decisions_lost": people * decisions - sum(counts.values()),
            "samples_decided_twice": twice,
            "decision_median_ms": round(1000 * times[len(times) // 2], 2),
            "seconds": round(time.perf_counter() - begun, 1),
        }
