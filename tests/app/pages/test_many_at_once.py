"""Deciding on many samples from a page: the count to confirm, one step, one undo."""

import numpy as np
import pytest
from page_words import problems, words

from oga_app.components.grid.sample_grid import GridAction
from oga_app.elements import desk
from oga_core.review import Decision, ReviewStore
from oga_core.review.board import DecisionBoard
from oga_core.runs.evidence import Evidence
from oga_core.runs.scored import ScoredRun

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def store(digits):
    opened = ReviewStore(digits.review)
    yield opened
    opened.close()


def test_all_flagged_take_their_suggestions_in_one_step(visit, digits, store):
    data = ScoredRun(digits.path)
    expected = int((data.suggestions[data.order("loss")[:30]] >= 0).sum())
    test = visit("explore", run="digits", flagged="30")
    test.button(key="act").click().run()
    assert test.button(key="act-confirm").label == f"Take each one's own suggestion: {expected}"
    test.button(key="act-confirm").click().run()
    assert problems(test) == []
    assert f"{expected} samples decided in one step" in words(test)
    assert store.counts()["relabel"] == expected
    assert len(store.history()) == 1
    assert not any(made.is_verdict for made in store.decisions().values()), "nobody looked at them"
    test.button(key="done-undo").click().run()
    assert store.counts()["relabel"] == 0
    assert "decided in one step" not in words(test)


def test_what_was_undone_elsewhere_is_not_said_to_be_done(visit, digits, store):
    test = visit("explore", run="digits", flagged="30")
    test.button(key="act").click().run()
    test.button(key="act-confirm").click().run()
    store.undo("me")  # in another tab, by the queue's key, or in the history
    assert "decided in one step" not in words(test.run())
    store.redo("me")
    assert "decided in one step" in words(test.run())


def test_the_result_offers_the_same_at_once(visit, digits, store):
    test = visit("run", run="digits")
    test.button(key="act").click().run()
    count = int(test.button(key="act-confirm").label.rpartition(" ")[2])
    test.button(key="act-confirm").click().run()
    assert problems(test) == []
    assert store.counts()["relabel"] == count > 5
    assert "done-export" in [button.key for button in test.button]


def test_all_in_a_filter_but_those_decided_are_kept(visit, digits, store):
    data = ScoredRun(digits.path)
    rows = np.flatnonzero(data.given == 2)
    store.decide(Decision(str(data.ids[rows[0]]), "remove"))
    test = visit("explore", run="digits", filters='{"given":"2"}', flagged="0")
    test.button(key="act").click().run()
    test.radio(key="act-verb").set_value("keep").run()
    assert test.button(key="act-confirm").label == f"Keep: {len(rows) - 1}"
    test.checkbox(key="act-over").set_value(True).run()
    assert test.button(key="act-confirm").label == f"Keep: {len(rows)}"
    test.checkbox(key="act-over").set_value(False).run()
    test.button(key="act-confirm").click().run()
    assert {action: count for action, count in store.counts().items() if count} == {"keep": len(rows) - 1, "remove": 1}


def test_a_run_without_classes_offers_no_labels(folder, visit):
    from app_runs import language_run

    language_run(folder)
    test = visit("explore", run="prompts")
    test.button(key="act").click().run()
    assert test.radio(key="act-verb").options == ["Keep", "Remove", "Mark as unsure"]


def test_a_sample_and_those_like_it_are_decided_together(visit, digits, store):
    data = ScoredRun(digits.path)
    row = 5
    test = visit("explore", run="digits")
    test.session_state["oga_session"].opened = str(data.ids[row])
    test.run()
    test.slider(key="alike-count").set_value(7).run()
    test.radio(key="alike-verb").set_value("remove").run()
    assert test.button(key="alike-confirm").label == "Remove: 8"
    test.button(key="alike-confirm").click().run()
    nearest = {str(data.ids[item.row]) for item in Evidence(data).alike(row, 7)}
    assert set(store.decisions()) == nearest | {str(data.ids[row])}
    assert all(made.is_verdict for made in store.decisions().values()), "the page shows them"
    assert len(store.history()) == 1
    assert "8 samples decided in one step" in words(test)


def test_of_a_grid_only_what_was_marked_was_looked_at(digits, store):
    data = ScoredRun(digits.path)
    board = DecisionBoard(data, store)
    listed = np.arange(20)
    marked = GridAction("a", "keep", tuple(map(str, data.ids[:3])))
    every = GridAction("b", "keep", (), every=True)
    verdicts = []
    for action in (marked, every):
        desk.bulk(data, board, action, "me", listed)
        verdicts.append(int(board.refresh().judged.sum()))
    assert verdicts == [3, 0]
    assert (board.codes[listed] >= 0).all()
