"""Where nothing or everything is flagged, nothing passes or one person reviews, pages say no more than is known."""

import shutil
from contextlib import closing

import numpy as np
import pytest
from app_runs import image_run
from page_words import words

from oga_core.review import Decision, ReviewStore
from oga_core.runs.scored import WRONG_PROBABILITY

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("flagged", ["0", "120"])
def test_a_threshold_at_either_end_compares_and_expects_nothing_there(visit, digits, flagged):
    digits.write_table(digits.table.assign(**{WRONG_PROBABILITY: np.linspace(0.01, 0.9, 120)}))
    compared = visit("compare", run="digits", flagged=flagged)
    assert "overlap" not in compared.dataframe[0].value
    assert "so it tells no scores apart" in words(compared)
    explored = words(visit("explore", run="digits", flagged=flagged))
    assert ("expected among the flagged" in explored, "expected below" in explored) == (flagged != "0", flagged == "0")


def test_a_run_that_was_deleted_in_another_tab_is_let_go(visit, digits):
    test = visit("run", run="digits")
    shutil.rmtree(digits.path)
    shown = words(test.run())
    assert "The run digits is not there any more: it was deleted or renamed in another place." in shown
    assert not [button for button in test.button if button.label == "Edit and try again"]
    assert "not there any more" not in words(test.run())


def test_of_no_samples_nothing_is_expected(shown, visit):
    run = shown(image_run)
    test = visit("explore", run=run.path.name, filters='{"content":"no such words"}')
    assert "No sample passes this filter" in words(test)
    assert "expected" not in words(test)
    assert "0.0\u00a0%" not in words(test)


def test_one_reviewer_alone_is_told_so_and_no_agreement(visit, digits):
    store = ReviewStore(digits.review)
    store.decide(Decision(str(digits.table["sample_id"][0]), "keep", reviewer="ann"))
    store.close()
    test = visit("review", run="digits")
    test.segmented_control(key="review-mode").set_value("Reviewers").run()
    assert "ann is the only reviewer, with 1 decision." in words(test)
    assert "Open disagreements" not in words(test)


def test_where_all_is_decided_there_is_no_more_to_see(visit, digits):
    store = ReviewStore(digits.review)
    store.decide([Decision(str(name), "keep") for name in digits.table["sample_id"]])
    store.close()
    shown = words(visit("review", run="digits", flagged="30"))
    assert "Everything is decided. Export the result." in shown
    assert "You can stop: every sample here has been reviewed." in shown
    assert "Lower the threshold" not in shown


def test_what_others_look_at_is_not_called_decided(visit, digits):
    store = ReviewStore(digits.review)
    store.claim("bob", map(str, digits.table["sample_id"]), 120)
    store.close()
    shown = words(visit("review", run="digits", flagged="5"))
    assert "What is left of this queue is before others" in shown
    assert "Everything in this queue is decided" not in shown


def test_a_new_name_goes_on_with_what_the_old_one_held(visit, digits):
    test = visit("review", run="digits", flagged="5")
    assert "Suspicion by every score" in words(test)
    test.text_input(key="reviewer").set_value("Zoë").run()
    assert "before others" not in words(test)
    assert "Suspicion by every score" in words(test)


def test_a_queue_that_is_decided_counts_every_decision(visit, digits):
    table = digits.table.sort_values("score_loss", ascending=False)
    kept = [Decision(str(name), "keep") for name in table["sample_id"][:8]]
    with closing(ReviewStore(digits.review)) as store:
        store.decide(kept[:5])
        test = visit("review", run="digits", flagged="7", score="loss")
        assert "among the 115 left unseen" in words(test)
        store.decide(kept[5:])
    shown = words(test.run())
    assert "Everything in this queue is decided" in shown
    assert "among the 112 left unseen" in shown
