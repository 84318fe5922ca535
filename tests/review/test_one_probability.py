"""One probability that a label is wrong: in the bars, in the filter, on the map, and after verdicts."""

import threading

import numpy as np
import pytest
from app_runs import image_run, with_columns

from oga_app.components.map.points import MapPoints
from oga_core.findings import WRONG_PROBABILITY
from oga_core.findings.kinds import SUGGESTED_PROBABILITY
from oga_core.review import ReviewStore
from oga_core.review import board as boards
from oga_core.review.board import DecisionBoard
from oga_core.review.decisions import Decision
from oga_core.review.filters import Filters
from oga_core.review.selection import Selection
from oga_core.runs.evidence import Evidence
from oga_core.runs.scored import ScoredRun
from oga_core.threshold.expectation import Expectation
from oga_core.threshold.ranked import RankedScores

NOTHING = np.empty(0, dtype=np.int64)


@pytest.fixture
def data(tmp_path):
    """A run whose labels are the likelier wrong the higher they rank, with "2" suggested for all but its own."""
    run = image_run(tmp_path)
    wrong = 1 - ScoredRun(run.path).rank("loss") / len(run.table)
    suggested = np.where(run.table["given_label"] == "2", "3", "2")
    run.write_table(
        run.table.assign(**{WRONG_PROBABILITY: wrong, "suggested_label": suggested, SUGGESTED_PROBABILITY: 0.8 * wrong})
    )
    return ScoredRun(run.path)


@pytest.fixture
def board(data):
    return DecisionBoard(data, ReviewStore(data.path / "review.sqlite"))


@pytest.mark.parametrize("wrong", [0.0, 0.3, 0.97, 1.0])
def test_the_classes_share_what_the_given_label_leaves(data, wrong):
    for row in range(0, len(data), 13):
        shown = dict(Evidence(data).probabilities(row, wrong))
        assert sum(shown.values()) == pytest.approx(1)
        assert shown[data.class_name(data.given[row])] == pytest.approx(1 - wrong)
        assert shown[data.text("suggested_label", row)] == pytest.approx(0.8 * wrong)
        assert min(shown.values()) >= 0


def test_without_a_suggestion_the_model_shares_it_out(data, tmp_path):
    data = with_columns(data, tmp_path / "without", suggested_label="")
    shown = dict(Evidence(data).probabilities(5, 0.5))
    assert sum(shown.values()) == pytest.approx(1)
    others = {name: chance for name, chance in shown.items() if name != data.class_name(data.given[5])}
    models = dict(Evidence(data).probabilities(5))
    assert sorted(others, key=others.get) == sorted(others, key=models.get)


def test_verdicts_move_it_and_the_filter_asks_what_they_made_of_it(data, board):
    before = board.wrong_probability()
    assert (before == data.wrong_probability).all()
    top = [str(data.ids[row]) for row in data.order("loss")[:12]]
    board.store.decide([Decision(sample_id, "keep") for sample_id in top])
    after = board.refresh().wrong_probability()
    order = data.order("loss")
    assert after[order[:12]].mean() < before[order[:12]].mean() - 0.1
    assert (np.diff(after[order]) <= 1e-12).all()
    likely = Selection.of(Filters(probability_range=(0.9, 1.0)), data, board, "loss", 10, lambda text: None)
    assert set(likely.rows) == set(np.flatnonzero(after >= 0.9))
    assert len(likely) < (before >= 0.9).sum()


def test_of_millions_it_is_learnt_while_the_page_shows_what_was_known(data, board, monkeypatch):
    monkeypatch.setattr(boards, "LEARNT_AT_ONCE", 0)
    before, begun = board.wrong_probability(), threading.Event()
    learn = board.expectation
    monkeypatch.setattr(board, "expectation", lambda score: (begun.wait(20), learn(score))[1])
    board.store.decide([Decision(str(data.ids[row]), "keep") for row in data.order("loss")[:12]])
    board.refresh()
    assert board.wrong_probability() is before
    assert board.learnt == (0, 0)
    begun.set()
    board._learning.join()
    assert board.wrong_probability()[data.order("loss")[:12]].mean() < before[data.order("loss")[:12]].mean() - 0.1
    assert board.learnt == board.step()


def test_a_run_that_tells_nothing_has_none(data, tmp_path):
    data.run.write_table(data.table.drop(columns=WRONG_PROBABILITY))
    data = ScoredRun(data.path)
    board = DecisionBoard(data, ReviewStore(tmp_path / "other.sqlite"))
    board.store.decide([Decision(str(sample_id), "remove") for sample_id in data.ids[:10]])
    assert board.refresh().wrong_probability() is None


def test_without_verdicts_it_is_what_the_run_says():
    ranked = RankedScores(np.arange(500.0))
    chance = np.linspace(0, 1, 500)
    assert (Expectation(ranked, NOTHING, NOTHING.astype(bool), probability=chance).revised() == chance).all()
    assert Expectation(ranked, NOTHING, NOTHING.astype(bool)).revised() is None


def test_the_map_is_told_at_which_rank_each_per_cent_ends():
    points = MapPoints.pack(np.zeros((5, 2)), [1.0, 5.0, 4.0, 3.0, 2.0])
    assert points.chance_steps([0.0, 0.979, 0.97, 0.5, 0.5]) == [(0.98, 1), (0.97, 2), (0.5, 4), (0.0, 5)]
