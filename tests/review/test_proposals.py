"""The same decision on many samples, and what the machine proposes."""

import numpy as np
import pytest
from app_runs import image_run, language_run, with_columns

from oga_core.errors import OgaError
from oga_core.findings.kinds import MISLABELLED, STRANGE
from oga_core.review import ReviewStore
from oga_core.review.proposals import MACHINE, decide_alike, has_suggestions, proposal
from oga_core.runs.scored import ScoredRun


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return image_run(tmp_path_factory.mktemp("images")).path


@pytest.fixture
def data(path):
    return ScoredRun(path)


def test_each_sample_takes_its_own_suggestion(data):
    made = decide_alike(data, range(len(data)), "suggest", reviewer="ann")
    named = {decision.sample_id: decision.new_label for decision in made}
    differing = np.flatnonzero(data.predicted != data.given)
    assert len(differing) > 5
    assert named == {str(data.ids[row]): data.classes[data.predicted[row]] for row in differing}
    assert {(decision.action, decision.reviewer) for decision in made} == {("relabel", "ann")}


def test_suggestions_of_all_samples_are_those_of_each(data, tmp_path):
    n = len(data)
    finding = np.where(np.arange(n) % 4 == 0, STRANGE, np.where(np.arange(n) % 4 == 1, MISLABELLED, None))
    suggested = np.array(data.classes)[(data.given + np.arange(n)) % len(data.classes)]
    data = with_columns(data, tmp_path, finding=finding, suggested_label=suggested)
    assert data.suggestions.tolist() == [data.suggestion(row) for row in range(n)]
    assert (data.suggestions[::4] == -1).all()
    mislabelled = np.arange(n) % 4 == 1
    assert (data.suggestions[mislabelled] != data.predicted[mislabelled]).any()


def test_suggestions_are_offered_where_a_run_has_some(data, tmp_path):
    """Under a loss of one's own numbers may be corrected, and none is suggested."""
    for name, suggested in (("none", ""), ("some", np.where(np.arange(len(data)), "", "3"))):
        numbers = with_columns(data, tmp_path / name, suggested_label=suggested)
        numbers.run.update(target="number", classes=[])
        assert has_suggestions(ScoredRun(numbers.path)) is (name == "some")


@pytest.mark.parametrize("verb", ["keep", "remove", "unsure"])
def test_one_action_on_all(data, verb):
    made = decide_alike(data, np.array([3, 1]), verb)
    assert [(decision.sample_id, decision.action) for decision in made] == [(data.ids[3], verb), (data.ids[1], verb)]


def test_many_decisions_are_one_step_and_one_undo(data, tmp_path):
    store = ReviewStore(tmp_path / "review.sqlite")
    step = store.decide(decide_alike(data, range(len(data)), "relabel", label=data.classes[0]))
    assert store.counts()["relabel"] == len(store.undo("me", step)) == len(data)
    assert store.counts()["relabel"] == 0
    assert len(store.history()) == 2
    store.close()


def test_what_cannot_be_decided_is_refused(data, tmp_path):
    with pytest.raises(OgaError, match="Unknown action 'explode'"):
        decide_alike(data, [0], "explode")
    with pytest.raises(OgaError, match="Unknown class 'wolf'"):
        decide_alike(data, [0], "relabel", label="wolf")
    with pytest.raises(OgaError, match="Unknown proposal 'decisions'"):
        proposal(data, "decisions", [0])
    with pytest.raises(OgaError, match="has no labels"):
        proposal(ScoredRun(language_run(tmp_path).path), "suggestions", [0])


def test_the_machines_proposal_says_that_nobody_looked(data):
    flagged = data.order("loss")[:12]
    trimmed = proposal(data, "trim", flagged)
    assert set(trimmed) == set(data.ids[flagged])
    assert {(made.action, made.reviewer) for made in trimmed.values()} == {("remove", MACHINE)}
    relabelled = proposal(data, "suggestions", flagged)
    assert set(relabelled) == {data.ids[row] for row in flagged if data.suggestions[row] >= 0}
    assert {made.reviewer for made in relabelled.values()} == {MACHINE}
