import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import IsolationForest

from oga_core.scores.estimators.forest import Features, isolation_forest_scores


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    left = rng.normal(size=(600, 3)).astype(np.float32)
    right = np.maximum(rng.normal(size=(600, 20)), 0).astype(np.float32) * rng.exponential(size=(600, 1)).astype(
        np.float32
    )
    return left, right


def reference(matrix, n_trees, subsample):
    forest = IsolationForest(n_estimators=n_trees, max_samples=subsample, random_state=0).fit(matrix)
    return -forest.score_samples(matrix)


@pytest.mark.parametrize("subsample", [256, 31, 8])
def test_scores_are_those_of_scikit_learn_up_to_the_draw(factors, subsample):
    left, right = factors
    matrix = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    ours = isolation_forest_scores(Features(right, left), 400, subsample=subsample)
    theirs = reference(matrix, 400, subsample)
    assert np.abs(ours - theirs).max() < 0.06
    assert abs(ours.mean() - theirs.mean()) < 0.005
    assert spearmanr(ours, theirs).statistic > 0.97


def test_a_product_on_demand_gives_the_same_trees_as_the_matrix(factors):
    left, right = factors
    matrix = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    np.testing.assert_array_equal(
        isolation_forest_scores(Features(right, left), 20), isolation_forest_scores(Features(matrix), 20)
    )


def test_constant_features_are_passed_over():
    matrix = np.zeros((300, 50), dtype=np.float32)
    matrix[:, 7] = np.random.default_rng(0).normal(size=300)
    matrix[0, 7] = 9
    scores = isolation_forest_scores(Features(matrix), 100)
    assert scores.argmax() == 0
    assert np.abs(scores - reference(matrix, 100, 256)).max() < 0.06


def test_equal_samples_share_a_leaf_and_score_alike():
    scores = isolation_forest_scores(Features(np.ones((40, 3), dtype=np.float32)), 10)
    assert np.ptp(scores) == 0
    assert np.allclose(scores, reference(np.ones((40, 3)), 10, 40))


def test_one_sample_has_a_finite_score():
    assert np.isfinite(isolation_forest_scores(Features(np.ones((1, 3), dtype=np.float32)), 3)).all()


def test_memory_does_not_hold_the_gradients():
    import tracemalloc

    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2000, 200)).astype(np.float32), rng.normal(size=(2000, 500)).astype(np.float32)
    tracemalloc.start()
    isolation_forest_scores(Features(right, left), 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6 < 2000 * 200 * 500 * 4
