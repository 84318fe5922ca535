"""Influence on the gap between groups, against real steps of the head and against numbers written out."""

import numpy as np
import pytest
from dense import close, gradient_matrix, loss_of, trained, with_bias

from oga_core.api import compute_scores
from oga_core.errors import OgaError
from oga_core.numerics import softmax
from oga_core.scores.influence import fairness, hessian_free


@pytest.fixture(scope="module")
def problem():
    sketch, validation, _ = trained()
    return sketch, validation, np.arange(len(validation)) % 2


def worst_less_best(head, validation, groups):
    losses = loss_of(head, validation)
    return abs(losses[groups == 0].mean() - losses[groups == 1].mean())


def loss_of_the_second_class(head, validation, groups):
    losses, positive = loss_of(head, validation), validation.given_labels == 1
    return losses[positive & (groups == 0)].mean() - losses[positive & (groups == 1)].mean()


def chance_of_the_second_class(head, validation, groups):
    p = softmax(with_bias(np.array(validation.features)) @ head.T)[:, 1]
    return p[groups == 1].mean() - p[groups == 0].mean()


@pytest.mark.parametrize(
    ("score", "gap"),
    [
        (fairness.tracin_fairness, worst_less_best),
        (fairness.tracin_opportunity_gap, loss_of_the_second_class),
        (fairness.tracin_parity_gap, chance_of_the_second_class),
    ],
)
def test_a_step_on_a_sample_widens_the_gap_by_its_score(problem, score, gap):
    sketch, validation, groups = problem
    scores = score(sketch, validation=validation, groups=groups)
    weights, grads = hessian_free.head_weights(sketch).astype(np.float64), gradient_matrix(sketch)
    for i in (scores.argmin(), scores.argmax(), 40):
        moved = weights - 1e-4 * grads[i].reshape(weights.shape)
        change = (gap(moved, validation, groups) - gap(weights, validation, groups)) / 1e-4
        np.testing.assert_allclose(change, scores[i], rtol=2e-2, atol=2e-3)


def test_fixed_groups_give_the_gap_a_sign_and_the_worst_group_does_not(problem):
    sketch, validation, groups = problem
    for score in (fairness.tracin_opportunity_gap, fairness.tracin_parity_gap):
        swapped = score(sketch, validation=validation, groups=1 - groups)
        close(swapped, -score(sketch, validation=validation, groups=groups))
    close(
        fairness.tracin_fairness(sketch, validation=validation, groups=1 - groups),
        fairness.tracin_fairness(sketch, validation=validation, groups=groups),
    )


def test_groups_are_given_from_python(problem):
    sketch, validation, groups = problem
    names = np.where(groups == 1, "b", "a")
    table = compute_scores(sketch, "tracin_parity_gap", validation=validation, groups=names)
    close(table["tracin_parity_gap"], fairness.tracin_parity_gap(sketch, validation=validation, groups=groups))
    with pytest.raises(OgaError, match=r"needs groups\. Give the group of every validation sample with groups="):
        compute_scores(sketch, "tracin_parity_gap", validation=validation)
    assert "tracin_parity_gap" not in compute_scores(sketch, validation=validation)


def test_groups_that_cannot_be_compared_are_refused(problem):
    sketch, validation, groups = problem
    with pytest.raises(OgaError, match=r"3 groups for 60 validation samples"):
        fairness.tracin_parity_gap(sketch, validation=validation, groups=groups[:3])
    with pytest.raises(OgaError, match="at least two groups"):
        fairness.tracin_fairness(sketch, validation=validation, groups=0 * groups)
    with pytest.raises(OgaError, match=r"3 groups\. Give two"):
        fairness.tracin_opportunity_gap(sketch, validation=validation, groups=np.arange(60) % 3)
    with pytest.raises(OgaError, match="no validation samples of the second class"):
        fairness.tracin_opportunity_gap(sketch, validation=validation, groups=validation.given_labels == 1)
