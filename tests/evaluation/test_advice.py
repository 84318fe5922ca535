"""Advice on the choice of a score: what is said, and which samples are asked for."""

import numpy as np
import pytest
from app_runs import image_run

from oga_core.evaluation.advice import TO_REVIEW, advise, shown_first
from oga_core.evaluation.verdicts import flagged_weights, method_table
from oga_core.runs.scored import ScoredRun

KEEP, REMOVE = 0, 2


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return ScoredRun(image_run(tmp_path_factory.mktemp("advice")).path)


def advice(data, codes, flagged=12):
    return advise(data, codes, method_table(data, codes, "loss", flagged), flagged)


def differing(data, flagged=12):
    return np.flatnonzero(flagged_weights(data, "loss", flagged) != flagged_weights(data, "l2_norm", flagged))


def test_without_verdicts_it_asks_for_what_the_scores_differ_on(data):
    found = advice(data, np.full(120, -1, dtype=np.int8))
    assert found.sentence.startswith("Nothing has been reviewed, so nothing tells the 2 scores apart. Review the ")
    assert set(found.rows) == set(differing(data)[:TO_REVIEW])


def test_scores_that_agree_on_all_that_was_reviewed_are_said_to(data):
    codes = np.full(120, -1, dtype=np.int8)
    same = np.setdiff1d(np.arange(120), differing(data))[:7]
    codes[same] = KEEP
    found = advice(data, codes)
    assert found.sentence.startswith("The 2 scores agree on all 7 that you reviewed. Review the")
    assert not set(found.rows) & set(same)


def test_the_better_one_is_named_and_only_clearly_where_it_is(tmp_path):
    run = image_run(tmp_path)
    places = np.arange(len(run.table), dtype=float)
    run.write_table(run.table.assign(score_loss=-places, score_l2_norm=places))
    data = ScoredRun(run.path)
    codes = np.full(120, -1, dtype=np.int8)
    codes[:20], codes[100:] = REMOVE, KEEP
    sentence = advice(data, codes, flagged=40).sentence
    assert "By your verdicts loss is ahead: 100 % of what it flags and you reviewed was wrong (88 to 100 %)" in sentence
    assert "of l2 norm 0 %. Review the 40 on which they differ most" in sentence
    codes[1:119] = -1
    unclear = advice(data, codes, flagged=40).sentence
    assert "loss leads, not clearly" in unclear
    assert "It flags 1 of the wrong ones you found, l2 norm 0." in unclear


@pytest.mark.parametrize("flagged", [0, 120])
def test_where_nothing_or_everything_is_flagged_no_advice_is_needed(data, flagged):
    assert advice(data, np.full(120, -1, dtype=np.int8), flagged=flagged).sentence == ""


def test_five_scores_stand_first_the_one_in_use_among_them(data):
    codes = np.full(120, -1, dtype=np.int8)
    table = method_table(data, codes, "l2_norm", 12)
    assert set(shown_first(data, table, "l2_norm")) == {"loss", "l2_norm"}
