"""Edits in the file of decisions: older files are read on, newer and damaged ones are refused in words."""

import sqlite3
from contextlib import closing
from threading import Thread

import pytest

from oga_core.errors import OgaError
from oga_core.review import Decision, ReviewStore
from oga_core.review.decisions import actions_of

VERSION_1 = """
CREATE TABLE steps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, client_event_id TEXT UNIQUE, kind TEXT NOT NULL,
  reviewer TEXT NOT NULL, time TEXT NOT NULL, undoes INTEGER REFERENCES steps(seq));
CREATE TABLE decisions (
  step INTEGER NOT NULL REFERENCES steps(seq), sample_id TEXT NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL);
CREATE TABLE undone (step INTEGER PRIMARY KEY, by INTEGER NOT NULL);
CREATE TABLE current (
  sample_id TEXT NOT NULL, reviewer TEXT NOT NULL, settled INTEGER NOT NULL, step INTEGER NOT NULL,
  action TEXT NOT NULL, new_label TEXT, note TEXT NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (sample_id, reviewer, settled)) WITHOUT ROWID;
CREATE TABLE claims (sample_id TEXT PRIMARY KEY, reviewer TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
INSERT INTO steps VALUES (1, 'e1', 'decide', 'me', '2026-01-01T00:00:00+00:00', NULL);
INSERT INTO decisions VALUES (1, 'a', 'relabel', 'cat', 'old');
INSERT INTO current VALUES ('a', 'me', 0, 1, 'relabel', 'cat', 'old', '2026-01-01T00:00:00+00:00');
PRAGMA user_version = 1;
"""
EDIT = (("/messages/1/content", 'better "answer"\n🙂'), ("/messages/3/content", ""))


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "review.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)
    return path


def test_an_edit_survives_the_file_and_can_be_undone_and_redone(tmp_path):
    with closing(ReviewStore(tmp_path / "review.sqlite")) as store:
        store.decide(Decision("a", "edit", edit=EDIT, note="why"))
    with closing(ReviewStore(tmp_path / "review.sqlite")) as store:
        assert store.decision("a").edit == EDIT
        assert store.decision("a").is_bad
        assert store.votes()["a"][0].edit == EDIT
        assert store.history("a")[0].first.edit == EDIT
        store.decide(Decision("a", "keep"))
        store.undo("me")
        assert store.decision("a").edit == EDIT
        store.undo("me")
        assert store.decisions() == {}
        store.redo("me")
        assert store.changes(0)[1]["a"].edit == EDIT


def test_a_file_of_an_older_version_is_read_on_and_takes_edits(old):
    with closing(ReviewStore(old)) as store:
        assert store.decision("a") == Decision("a", "relabel", "cat", "me", "2026-01-01T00:00:00+00:00", "old")
        store.decide(Decision("b", "edit", edit=EDIT))
        store.undo("me")
        store.undo("me")
        assert store.redo("me") == ["a"]
        assert store.decision("a").new_label == "cat"
    with closing(ReviewStore(old)) as store:
        assert store.redo("me") == ["b"]
        assert store.decision("b").edit == EDIT


def test_an_older_file_opened_by_many_at_once_is_changed_once(old):
    faults = []

    def open_it():
        try:
            ReviewStore(old).close()
        except Exception as error:
            faults.append(error)

    threads = [Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("action = 'polish', edit = NULL", "action 'polish' on 'a', which this version"),
        ("edit = NULL", "damaged: the decision 'edit' on 'a' has edit"),
        ("edit = '[1]'", "damaged"),
        ("edit = '{\"/text\": 3}'", "damaged"),
        ("edit = '{'", "damaged"),
        ("action = 'keep'", "damaged: the decision 'keep'"),
    ],
)
def test_what_no_version_writes_is_refused_in_words(tmp_path, change, words):
    path = tmp_path / "review.sqlite"
    with closing(ReviewStore(path)) as store:
        store.decide(Decision("a", "edit", edit=EDIT))
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE current SET {change}")
        database.commit()
    with closing(ReviewStore(path)) as store, pytest.raises(OgaError, match=words):
        store.decisions()


def test_an_edit_needs_a_text_and_nothing_else_has_one(tmp_path):
    store = ReviewStore(tmp_path / "review.sqlite")
    for decision in (Decision("a", "edit"), Decision("a", "keep", edit=EDIT), Decision("a", "polish")):
        with pytest.raises(OgaError, match=r"[Ee]dit needs|polish"):
            store.decide(decision)
    assert store.history() == []


def test_two_edits_of_one_text_disagree(tmp_path):
    store = ReviewStore(tmp_path / "review.sqlite")
    for name, text in (("Ann", "one"), ("Ben", "two")):
        store.decide(Decision("a", "edit", reviewer=name, edit=(("/text", text),)))
    assert [vote.verdict for vote in store.disagreements()["a"]] == ["edit to one", "edit to two"]


def test_what_can_be_decided_depends_on_what_the_run_holds():
    assert actions_of(("cat", "dog"), "image") == ("keep", "relabel", "remove", "unsure")
    assert actions_of((), "causal_lm") == ("keep", "edit", "remove", "unsure")
    assert "edit" not in actions_of((), "tabular")
    assert actions_of((), "tabular", "number") == ("keep", "relabel", "remove", "unsure")
    assert actions_of((), "tabular", "vector") == ("keep", "remove", "unsure")  # lists of numbers are not typed
