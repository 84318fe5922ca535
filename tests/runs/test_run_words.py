"""The result of a run in sentences."""

import numpy as np
import pytest
from app_runs import image_run, language_run

from oga_core.runs.scored import WRONG_PROBABILITY, ScoredRun
from oga_core.runs.words import result_in_words


@pytest.fixture
def run(tmp_path):
    return image_run(tmp_path)


def test_flagged_worst_class_and_pairs_are_named(run):
    data = ScoredRun(run.path)
    words = result_in_words(data)
    flagged = data.order("loss")[:12]
    counts = np.bincount(data.given[flagged], minlength=5) / np.bincount(data.given, minlength=5)
    assert words[0] == "12 of 120 samples are flagged."
    worst, share = data.classes[counts.argmax()], 100 * counts.max()
    assert words[1] == f"Worst is {worst}: {share:.0f}\u00a0% of its samples are flagged."
    pairs = {(int(data.given[row]), int(data.suggestions[row])) for row in flagged if data.suggestions[row] >= 0}
    assert any(words[2].startswith(f"Most often: {a} that looks like {b} (") for a, b in pairs)
    assert len(words) == 3


def test_what_is_estimated_is_told_and_what_is_not_is_left_out(run):
    run.update(noise_rate={"rate": 0.36, "low": 0.3, "high": 0.41})
    table = run.table
    table[WRONG_PROBABILITY] = np.where(ScoredRun(run.path).rank("loss") < 100, 0.98, 0.1)
    run.write_table(table)
    words = result_in_words(ScoredRun(run.path))
    assert words[0] == "About 36\u00a0% of the labels look wrong (30 to 41\u00a0%)."
    assert words[-1] == "The labels of the first 12 are 98\u00a0% likely wrong."
    run.update(suggested_trim_fraction=0.9)
    assert "The labels of the first 100 are 98\u00a0% likely wrong." in result_in_words(ScoredRun(run.path))


@pytest.mark.parametrize(
    ("rate", "low", "high", "sentence"),
    [
        (0.92, 0.918, 0.923, "About 92\u00a0% of the labels look wrong."),
        (0.001, 0, 0.02, "At most 2\u00a0% of the labels look wrong."),
        (0.001, 0, 0.004, "Fewer than 1\u00a0% of the labels look wrong."),
    ],
)
def test_ends_that_read_the_same_are_said_once_and_nothing_is_about_none(run, rate, low, high, sentence):
    run.update(noise_rate={"rate": rate, "low": low, "high": high})
    run.write_table(run.table.assign(**{WRONG_PROBABILITY: rate}))
    assert result_in_words(ScoredRun(run.path))[0] == sentence


def test_evidence_that_tells_nothing_of_the_labels_is_no_estimate(run):
    run.update(noise_rate={"rate": 0.0, "low": 0.0, "high": 0.8})
    assert result_in_words(ScoredRun(run.path))[0] == "12 of 120 samples are flagged."


def test_a_threshold_that_was_moved_is_the_one_that_is_told(run):
    data = ScoredRun(run.path)
    assert result_in_words(data, "loss", 30)[0] == "30 of 120 samples are flagged."
    assert result_in_words(data, "loss", 30)[2] != result_in_words(data)[2]


def test_no_class_is_the_worst_where_everything_is_flagged(run):
    words = result_in_words(ScoredRun(run.path), "loss", 120)
    assert words[0] == "120 of 120 samples are flagged."
    assert not any("Worst" in sentence for sentence in words)


def test_a_name_from_right_to_left_moves_nothing_beside_it(tmp_path):
    run = image_run(tmp_path, classes=("dog", "قطة"))
    words = " ".join(result_in_words(ScoredRun(run.path), flagged_count=60))
    assert "\u2068قطة\u2069" in words
    assert "\u2068dog" not in words


def test_a_run_without_classes_or_without_flagged_samples_says_little(tmp_path, run):
    assert result_in_words(ScoredRun(language_run(tmp_path).path)) == ["2 of 40 samples are flagged."]
    run.update(suggested_trim_fraction=0.0)
    assert result_in_words(ScoredRun(run.path)) == ["0 of 120 samples are flagged."]
