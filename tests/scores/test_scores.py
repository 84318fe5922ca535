"""What every score of the registry must do, found by reflection."""

import re

import numpy as np
import pytest
from problems import answers, blobs, numbers

from oga_core.errors import OgaError
from oga_core.gradient_sketch import LANGUAGE_ARRAYS
from oga_core.scores import (
    CHECKPOINTS,
    GROUPS,
    SCORES,
    VALIDATION,
    VALIDATION_CHECKPOINTS,
    compute_scores,
    default_score,
)

SMALL = 120


def scores_of(sketch, name, seed=0):
    clean, _ = blobs(60, flipped=0.0, seed=1)
    score = SCORES[name]
    options = {
        "validation": clean if VALIDATION in score.needs else None,
        "checkpoints": [sketch, sketch] if CHECKPOINTS in score.needs else (),
        "validation_checkpoints": [clean, clean] if VALIDATION_CHECKPOINTS in score.needs else (),
        "groups": np.arange(60) % 2 if GROUPS in score.needs else None,
    }
    return compute_scores(sketch, [name], seed=seed, **options)[0][name]


@pytest.fixture(scope="module", params=list(SCORES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def problem(name):
    needs = set(SCORES[name].needs)
    return answers(SMALL) if LANGUAGE_ARRAYS & needs else numbers(SMALL) if "targets" in needs else blobs(SMALL)


def test_one_finite_value_per_sample(name, problem):
    values = scores_of(problem[0], name)
    assert values.shape == (SMALL,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()


def test_the_same_seed_gives_the_same_values(name, problem):
    np.testing.assert_array_equal(scores_of(problem[0], name), scores_of(problem[0].take(np.arange(SMALL)), name))


def test_the_order_of_the_samples_does_not_matter(name, problem):
    order = np.random.default_rng(0).permutation(SMALL)
    expected = scores_of(problem[0], name)[order]
    np.testing.assert_allclose(
        scores_of(problem[0].take(order), name), expected, rtol=1e-4, atol=1e-5 * max(expected.std(), 0.1)
    )


FINDS_OTHER_THINGS = {
    *("entropy", "variability", "prompt_free_loss", "tracin_ensemble", "tracin_robustness"),
    *("tracin_fairness", "tracin_opportunity_gap", "tracin_parity_gap"),
}
"""These find hard or unusual samples, or serve another aim; a wrong label alone need not raise them."""


def test_wrong_labels_rank_higher(name, problem):
    sketch, wrong = problem
    values = scores_of(sketch, name)
    auroc = (values[wrong][:, None] > values[~wrong]).mean() + 0.5 * (values[wrong][:, None] == values[~wrong]).mean()
    assert auroc > 0.75 or name in FINDS_OTHER_THINGS


def test_every_score_says_its_formula(name):
    description = SCORES[name].description
    assert len(description) > 30
    assert SCORES[name].family == "combined" or re.search(r"arXiv|ICDM|SIGMOD|IEEE|Technometrics|no paper", description)


def test_all_scores_without_names_are_those_whose_needs_are_met():
    scores, seconds = compute_scores(blobs(SMALL)[0])
    absent = {VALIDATION, CHECKPOINTS, GROUPS, "targets", *LANGUAGE_ARRAYS}
    expected = [n for n, s in SCORES.items() if s.by_default and absent.isdisjoint(s.needs)]
    assert list(scores) == expected == list(seconds)


def test_scores_of_numbers_are_those_that_need_no_class():
    sketch, wrong = numbers(SMALL)
    scores, _ = compute_scores(sketch)
    assert {"oga", "absolute_residual", "loss", "l1_norm", "l2_norm", "isolation_forest"} <= scores.keys()
    assert not {name for name in scores if "logits" in SCORES[name].needs or name.endswith("per_class")}
    assert scores["oga"][wrong].min() > np.median(scores["oga"])


def test_progress_names_each_score_before_it_is_computed():
    told = []
    compute_scores(blobs(SMALL)[0], ["loss", "margin"], progress=lambda *progress: told.append(progress))
    assert told == [("loss", 0, 2), ("margin", 1, 2)]


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(OgaError, match=r"Unknown score 'los'\. Choose one of: .*loss"):
        compute_scores(blobs(SMALL)[0], ["los"])


def test_a_score_whose_arrays_are_missing_is_refused():
    sketch, _ = blobs(SMALL)
    object.__setattr__(sketch, "features", None)
    with pytest.raises(OgaError, match="'l2_norm' needs features"):
        compute_scores(sketch, ["l2_norm"])
    assert "l2_norm" not in compute_scores(sketch)[0]


def test_what_overflowed_is_finite_and_most_suspicious():
    sketch, _ = blobs(SMALL)
    sketch.losses[3] = np.inf
    scores = compute_scores(sketch, ["loss"])[0]["loss"]
    assert scores[3] == scores.max() < np.inf


def test_the_default_score_is_the_best_there_is():
    assert default_score(["loss", "isolation_forest", "oga"]) == "oga"
    assert default_score(["loss", "isolation_forest"]) == "isolation_forest"
    assert default_score(["margin"]) == "margin"
