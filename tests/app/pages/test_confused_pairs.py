"""Confused pairs, clusters and advice on the pages: what is offered, and what it does."""

import json

import numpy as np
import pytest
from app_runs import image_run
from page_words import problems, words

from oga_core.review import ReviewStore
from oga_core.review.board import DecisionBoard
from oga_core.review.decisions import MERGED
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def data(folder):
    return ScoredRun(image_run(folder).path)


@pytest.fixture
def pair(data):
    """The given and the predicted label that differ most often."""
    pairs = np.flatnonzero((data.given != data.predicted) & (data.predicted >= 0))
    codes, counts = np.unique(data.given[pairs] * 10 + data.predicted[pairs], return_counts=True)
    return divmod(int(codes[counts.argmax()]), 10)


def explored(visit, data, pair=None):
    names = {} if pair is None else {"given": data.classes[pair[0]], "predicted": data.classes[pair[1]]}
    test = visit("explore", run="digits", filters=json.dumps(names) if names else "")
    test.segmented_control(key="explore-part").set_value("Confused pairs").run()
    assert problems(test) == []
    return test


def test_pairs_are_ranked_with_their_share_of_the_given_label(visit, data, pair):
    table = explored(visit, data).dataframe[1].value
    counts = np.bincount(data.given * 5 + data.predicted, minlength=25).reshape(5, 5)
    first = table.iloc[0]
    assert [first["Given label"], first["Predicted label"]] == [data.classes[code] for code in pair]
    assert first["Samples"] == counts[pair]
    assert first["Of the given label"] == pytest.approx(100 * counts[pair] / counts[pair[0]].sum())
    assert (np.diff(table["Samples"]) <= 0).all()


def test_many_classes_are_ranked_without_a_matrix(data):
    table = data.table.assign(given_label="0")
    assert "0" in data.classes
    data.given, data.predicted = np.arange(120) % 5, (np.arange(120) + (np.arange(120) < 30)) % 5
    from oga_core.review.selection import Selection

    pairs = Selection(data, "loss", 10, np.ones(120, dtype=bool)).confused_pairs()
    assert pairs["samples"].sum() == 30
    assert (pairs["predicted"] == (pairs["given"] + 1) % 5).all()
    assert pairs["share"].tolist() == pytest.approx(100 * pairs["samples"] / 24)
    assert len(table) == 120


def test_merging_two_classes_is_one_step_that_is_no_verdict_and_can_be_undone(visit, data, pair):
    kept, gone = pair[0], pair[1]
    test = explored(visit, data, pair)
    count = int((data.given == gone).sum())
    assert f"Relabel all {count} undecided {data.classes[gone]} to {data.classes[kept]}" in str(test.button)
    test.button(key="merge-confirm").click().run()
    assert f"{count} samples decided in one step." in words(test)
    store = ReviewStore(data.path / "review.sqlite")
    decisions = store.decisions().values()
    assert {(made.action, made.new_label, made.note) for made in decisions} == {("relabel", data.classes[kept], MERGED)}
    assert len(decisions) == count
    board = DecisionBoard(data, store).refresh()
    assert (board.codes >= 0).sum() == count
    assert not board.judged.any()
    assert len(board.expectation("loss").reviewed) == 0
    store.close()
    test.button(key="done-undo").click().run()
    assert ReviewStore(data.path / "review.sqlite").decisions() == {}


def test_clusters_filter(visit, data):
    run = RunFolder.open(data.path)
    run.write_table(run.table.assign(map_cluster=data.given))
    test = visit("explore", run="digits")
    test.segmented_control(key="explore-part").set_value("Clusters").run()
    table = test.dataframe[0].value
    assert set(table["class"]) == set(ScoredRun(data.path).clusters.names)
    name = table["class"].iloc[0]
    filtered = visit("explore", run="digits", filters=json.dumps({"cluster": name}))
    assert f"{table['samples'].iloc[0]} of 120 samples" in words(filtered)


def test_compare_begins_with_advice_whose_samples_open_as_a_queue(visit, data):
    test = visit("compare", run="digits")
    assert "Nothing has been reviewed, so nothing tells the 2 scores apart. Review the" in words(test)
    label = test.button(key="advice-review").label
    assert label.startswith("Review these ")
    assert words(test).index("Nothing has been reviewed") < words(test).index("As you review, the precision of each")


def test_the_threshold_goes_back_to_the_suggested(visit, data):
    test = visit("explore", run="digits", flagged="30")
    suggested = data.ranked("loss").count(data.trim_fraction())
    assert test.button(key="suggested").label == f"Back to the suggested {suggested}"
    test.button(key="suggested").click().run()
    assert f">{suggested}<" in words(test)
    assert not any(button.key == "suggested" for button in test.button)
