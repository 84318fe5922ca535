"""The decisions: nothing lost, nothing doubled, everything can be undone."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from oga_core.errors import OgaError
from oga_core.review import Decision, ReviewStore


@pytest.fixture
def store(tmp_path):
    with_path = ReviewStore(tmp_path / "review.sqlite")
    yield with_path
    with_path.close()


def standing(store, reviewer=None):
    return {sample_id: decision.verdict for sample_id, decision in store.decisions(reviewer).items()}


def test_the_latest_decision_stands(store):
    store.decide(Decision("a", "keep"))
    store.decide(Decision("a", "relabel", "cat", note="clearly"))
    decision = store.decision("a")
    assert (decision.action, decision.new_label, decision.note) == ("relabel", "cat", "clearly")
    assert decision.is_bad
    assert decision.time.endswith("+00:00")
    assert store.counts() == {"keep": 0, "relabel": 1, "remove": 0, "unsure": 0, "edit": 0, "swap": 0}
    assert store.decision("b") is None


def test_a_key_event_sent_twice_is_written_once(store):
    first = store.decide(Decision("a", "keep"), client_event_id="tab1-1")
    assert store.decide(Decision("a", "keep"), client_event_id="tab1-1") == first
    store.undo("me", client_event_id="tab1-2")
    store.decide(Decision("b", "keep"), client_event_id="tab1-3")
    assert store.undo("me", client_event_id="tab1-2") == ["a"]
    assert standing(store) == {"b": "keep"}
    assert len(store.history()) == 3


def test_undo_and_redo_walk_through_everything(store):
    store.decide(Decision("a", "keep"))
    store.decide(Decision("a", "remove"))
    store.decide([Decision("b", "remove"), Decision("c", "remove")])
    states = [standing(store)]
    while store.undo("me"):
        states.append(standing(store))
    assert states == [
        {"a": "remove", "b": "remove", "c": "remove"},
        {"a": "remove"},
        {"a": "keep"},
        {},
    ]
    for state in reversed(states[:-1]):
        assert store.redo("me")
        assert standing(store) == state
    assert store.redo("me") == []


def test_a_new_decision_ends_redo(store):
    store.decide(Decision("a", "keep"))
    store.decide(Decision("b", "keep"))
    store.undo("me")
    store.decide(Decision("c", "keep"))
    assert store.redo("me") == []
    assert store.undo("me") == ["c"]
    assert store.undo("me") == ["a"]
    assert standing(store) == {}


def test_an_older_step_can_be_undone_alone(store):
    older = store.decide(Decision("a", "remove"))
    store.decide(Decision("b", "keep"))
    assert store.undo("me", older) == ["a"]
    assert store.undo("me", older) == []
    assert standing(store) == {"b": "keep"}


def test_undo_is_each_reviewers_own(store):
    store.decide(Decision("a", "keep", reviewer="ann"))
    store.decide(Decision("a", "remove", reviewer="bob"))
    assert store.undo("ann") == ["a"]
    assert store.undo("ann") == []
    assert standing(store) == {"a": "remove"}
    assert store.redo("ann") == ["a"]
    assert standing(store, "ann") == {"a": "keep"}


def test_disagreements_are_shown_and_settled(store):
    for reviewer, action in (("ann", "keep"), ("bob", "remove")):
        store.decide(Decision("a", action, reviewer=reviewer))
        store.decide(Decision("b", "keep", reviewer=reviewer))
    assert [vote.reviewer for vote in store.disagreements()["a"]] == ["ann", "bob"]
    assert store.agreement() == pytest.approx(0.0)
    store.decide(Decision("a", "keep", reviewer="ann"), settle=True)
    store.decide(Decision("a", "remove", reviewer="bob"))
    assert store.disagreements() == {}
    assert list(store.disagreements(settled=True)) == ["a"]
    assert standing(store)["a"] == "keep"
    store.undo("ann")
    assert standing(store)["a"] == "remove"
    assert store.reviewers() == {"ann": 2, "bob": 2}


def test_queues_do_not_collide(store):
    queue = [f"s{i}" for i in range(10)]
    ann = store.claim("ann", queue, 3)
    bob = store.claim("bob", queue, 3)
    assert ann == queue[:3]
    assert bob == queue[3:6]
    store.decide(Decision("s0", "keep", reviewer="ann"))
    assert store.claim("ann", queue, 3) == ["s1", "s2", "s6"]
    store.release("bob")
    assert store.claim("ann", queue, 20) == ["s1", "s2", *queue[3:]]
    assert store.claim("bob", queue, 20, overlap=2) == queue


def test_claims_expire(store):
    store.claim("ann", ["a"], 1, seconds=0.05)
    assert store.claim("bob", ["a"], 1) == []
    time.sleep(0.1)
    assert store.claim("bob", ["a"], 1) == ["a"]


def test_changes_since_a_step(store):
    store.decide(Decision("a", "keep"))
    last, changes = store.changes(0)
    assert {key: decision.action for key, decision in changes.items()} == {"a": "keep"}
    assert store.changes(last) == (last, {})
    store.decide(Decision("b", "remove"))
    store.undo("me")
    later, changes = store.changes(last)
    assert later == last + 2
    assert changes == {"b": None}


def test_history_tells_who_did_what(store):
    store.decide(Decision("a", "keep", reviewer="ann"))
    store.decide([Decision("a", "remove", reviewer="bob"), Decision("b", "remove", reviewer="bob")])
    store.undo("bob")
    undo, bulk, first = store.history()
    assert (undo.kind, undo.undoes, undo.n_samples) == ("undo", bulk.seq, 2)
    assert (bulk.kind, bulk.n_samples, bulk.undone, bulk.first.action) == ("decide", 2, True, "remove")
    assert (first.reviewer, first.undone) == ("ann", False)
    assert [step.kind for step in store.history("b")] == ["undo", "decide"]
    assert store.history("b")[1].first.sample_id == "b"


def test_pace_leaves_breaks_out(store):
    for i in range(4):
        store.decide(Decision(f"s{i}", "keep"))
    with sqlite3.connect(store.path) as db:
        for seq, second in enumerate((0, 2, 5, 500), start=1):
            db.execute(
                "UPDATE steps SET time = ? WHERE seq = ?",
                (f"2026-01-01T00:{second // 60:02}:{second % 60:02}+00:00", seq),
            )
    db.close()
    assert store.pace("me") == 3.0
    assert store.pace("ann") is None


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision("a", "burn"), "Unknown action 'burn'. Choose one of: keep, relabel, remove, unsure"),
        (Decision("a", "relabel"), "has the new label None. Relabel needs a new label"),
        (Decision("a", "keep", "cat"), "has the new label 'cat'"),
        (Decision("a", "keep", reviewer=" "), "reviewer has no name"),
    ],
)
def test_wrong_decisions_are_refused_whole(store, decision, message):
    with pytest.raises(OgaError, match=message):
        store.decide([Decision("b", "keep", reviewer=decision.reviewer), decision])
    assert store.history() == []


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "review.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(OgaError, match=r"review\.sqlite cannot be used for decisions"):
        ReviewStore(tmp_path / "review.sqlite")


def test_four_reviewers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "review.sqlite"
    queue = [f"s{i}" for i in range(200)]

    def work(reviewer):
        store = ReviewStore(path)
        while claimed := store.claim(reviewer, queue, 5):
            for sample_id in claimed:
                store.decide(Decision(sample_id, "keep", reviewer=reviewer))
        store.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["ann", "bob", "cem", "dora"]))
    store = ReviewStore(path)
    assert sorted(store.decisions()) == sorted(queue)
    assert len(store.history(limit=1000)) == 200
    store.close()


_WRITER = """
import sys
from pathlib import Path
from oga_core.review import Decision, ReviewStore
store = ReviewStore(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    store.decide(Decision(f"s{number}", "keep"), client_event_id=f"e{number}")
    print(number, flush=True)
    number += 1
"""


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path):
    path, acknowledged = tmp_path / "review.sqlite", -1
    for _ in range(3):
        command = [sys.executable, "-c", _WRITER, str(path), str(acknowledged + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(15):
                acknowledged = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        store = ReviewStore(path)
        kept = sorted(int(sample_id[1:]) for sample_id in store.decisions())
        store.close()
        assert kept[: acknowledged + 1] == list(range(acknowledged + 1))
        assert len(kept) <= acknowledged + 2


def test_a_hundred_thousand_decisions_stay_fast(tmp_path):
    path = tmp_path / "review.sqlite"
    store = ReviewStore(path)
    for start in range(0, 100_000, 10_000):
        store.decide([Decision(f"s{i}", "keep") for i in range(start, start + 10_000)])
    store.close()
    began = time.perf_counter()
    store = ReviewStore(path)
    assert store.decision("s99999").action == "keep"
    opened = time.perf_counter() - began
    times = []
    for i in range(50):
        began = time.perf_counter()
        store.decide(Decision(f"s{i}", "remove"))
        times.append(time.perf_counter() - began)
    store.close()
    assert opened < 0.2
    assert sorted(times)[25] < 0.05, "a decision must not get slower with the number of decisions"
