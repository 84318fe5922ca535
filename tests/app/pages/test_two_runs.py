"""A second run beside the first, on the Compare page."""

import pytest
from app_runs import image_run, language_run
from page_words import problems, words

from oga_core.review import Decision, ReviewStore
from oga_core.runs.scored import ScoredRun

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def later(folder, digits):
    """The same data and model again, with two decisions on the first run, one of them on a sample that is gone."""
    store = ReviewStore(digits.review)
    top = ScoredRun(digits.path)
    store.decide(Decision(str(top.ids[top.order("loss")[0]]), "keep"))
    store.decide(Decision("gone.png", "unsure"))
    store.close()
    run = image_run(folder, "later")
    run.update(previous=str(digits.path), suggested_trim_fraction=0.05)
    return run


def compared(visit):
    test = visit("compare", run="later")
    test.segmented_control(key="compare-part").set_value("Another run").run()
    assert problems(test) == []
    return test


def test_the_run_it_was_started_from_is_compared(visit, later):
    test = compared(visit)
    assert test.selectbox(key="earlier-later").value.name == "digits"
    shown = words(test)
    assert "digits → later" in shown
    assert "120 samples in both, 0 gone, 0 new" in shown
    assert "10.0\u00a0% before" in shown
    assert "1 decision was not carried over" in shown
    stale = test.dataframe[1].value
    assert stale.values.tolist() == [["gone.png", "Unsure", "the sample is gone", "me"]]


def test_the_fate_of_decisions_and_who_left_the_flagged(visit, later):
    test = compared(visit)
    assert test.dataframe[0].value.values.tolist() == [["Kept", 1, 0, 1, 1, 0]]
    assert "Flagged before, and not now" in words(test)
    drawn = [component.proto.component_name for component in test.get("bidi_component")]
    assert drawn.count("oga_gradient_map") == 2


def test_edits_alone_are_what_was_decided(folder, visit):
    earlier = language_run(folder, "digits", n=6)
    language_run(folder, "later", n=6).update(previous=str(earlier.path))
    store = ReviewStore(earlier.review)
    store.decide(Decision("p001", "edit", edit=(("/completion", "new"),)))
    store.close()
    table = compared(visit).dataframe[0].value
    assert table["Decision"].tolist() == ["Edited"]
    assert "The model now agrees" not in table  # of a language model's rows nothing is predicted


def test_one_run_alone_says_what_to_do(visit, digits):
    test = visit("compare", run="digits")
    test.segmented_control(key="compare-part").set_value("Another run").run()
    assert "There is no other scored run" in words(test)
