"""Retraining truth against plain retraining, and Shapley values against their definition over all subsets."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from problems import blobs, sketch_of
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from oga_core.errors import OgaError
from oga_core.scores import valuation
from oga_core.scores.estimators import shapley as shapley_games


@pytest.fixture(scope="module")
def problem():
    return blobs(40, flipped=0.15)[0], blobs(30, flipped=0.0, seed=1)[0]


def retrained(sketch, rows, penalty):
    """scikit-learn's regression with the same penalty on weights and bias, which takes the bias as a feature."""
    features = valuation._basis(sketch).of(sketch)[rows]
    strength = 1 / (penalty * len(sketch))
    model = LogisticRegression(C=strength, fit_intercept=False, tol=1e-9, max_iter=5000)
    return model.fit(features, sketch.given_labels[rows])


def test_leave_one_out_is_plain_retraining(problem):
    sketch, validation = problem
    everything, features = np.arange(40), valuation._basis(sketch).of(validation)
    heads = [
        retrained(sketch, rows, valuation.PENALTY * (len(rows) / 40))
        for rows in [everything, *(np.delete(everything, i) for i in range(40))]
    ]
    losses = [log_loss(validation.given_labels, head.predict_proba(features)) for head in heads]
    scores = valuation.leave_one_out(sketch, validation=validation)
    np.testing.assert_allclose(scores, losses[0] - np.array(losses[1:]), atol=2e-5)
    assert np.abs(scores).max() > 1e-3

    own = valuation._basis(sketch).of(sketch)
    left_out = [-head.predict_log_proba(own[i : i + 1])[0, sketch.given_labels[i]] for i, head in enumerate(heads[1:])]
    with_all = -heads[0].predict_log_proba(own)[everything, sketch.given_labels]
    np.testing.assert_allclose(valuation.self_leave_one_out(sketch), np.array(left_out) - with_all, rtol=1e-3)


def shapley(n_samples, utility):
    """Shapley values by their definition: the mean gain over all subsets."""
    values = np.zeros(n_samples)
    for i in range(n_samples):
        others = [j for j in range(n_samples) if j != i]
        for size in range(n_samples):
            for subset in combinations(others, size):
                gain = utility([*subset, i]) - utility(list(subset))
                values[i] += gain / (n_samples * comb(n_samples - 1, size))
    return values


def tiny():
    sketch, _ = blobs(7, n_classes=2, flipped=0.3, seed=3)
    return sketch, blobs(9, n_classes=2, flipped=0.0, seed=4)[0]


@pytest.mark.parametrize("neighbours", [3, 10])
def test_knn_shapley_is_the_shapley_value(monkeypatch, neighbours):
    monkeypatch.setattr(shapley_games, "NEIGHBOURS", neighbours)
    sketch, validation = tiny()
    distances = ((validation.features[:, None] - sketch.features) ** 2).sum(axis=2)
    matches = sketch.given_labels == validation.given_labels[:, None]

    def utility(subset):
        if not subset:
            return 0.0
        nearest = np.array(subset)[np.argsort(distances[:, subset], axis=1)[:, :neighbours]]
        return np.take_along_axis(matches, nearest, axis=1).sum(axis=1).mean() / neighbours

    np.testing.assert_allclose(valuation.knn_shapley(sketch, validation=validation), -shapley(7, utility), atol=1e-9)


def test_self_knn_shapley_leaves_the_reference_out():
    sketch, _ = tiny()
    expected = np.zeros(7)
    for j in range(7):
        others = np.delete(np.arange(7), j)
        expected[others] += valuation.knn_shapley(sketch.take(others), validation=sketch.take(np.array([j]))) / 6
    np.testing.assert_allclose(valuation.self_knn_shapley(sketch), expected, atol=1e-9)


def test_data_shapley_approaches_the_shapley_value_of_the_ridge_head(monkeypatch):
    monkeypatch.setattr(shapley_games, "TRUNCATION", 0.0)
    monkeypatch.setattr(shapley_games, "MOST_ROUNDS", 400)
    monkeypatch.setattr(shapley_games, "TOLERANCE", 0.0)
    monkeypatch.setattr(shapley_games, "SHORTEST", 2)
    sketch, validation = tiny()
    basis, targets = valuation._basis(sketch), np.eye(2)[sketch.given_labels]
    features, inputs = basis.of(sketch), basis.of(validation)

    def utility(subset):
        x, y = features[subset], targets[subset]
        weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
        return -np.mean((inputs @ weights - np.eye(2)[validation.given_labels]) ** 2)

    exact = -shapley(7, utility)
    scores = valuation.data_shapley(sketch, validation=validation)
    np.testing.assert_allclose(scores.sum(), exact.sum(), rtol=0.02)
    np.testing.assert_allclose(scores, exact, atol=0.03 * np.abs(exact).max())


def test_truncation_only_cuts_what_hardly_counts(problem, monkeypatch):
    sketch, validation = problem
    cut = valuation.data_shapley(sketch, validation=validation)
    monkeypatch.setattr(shapley_games, "TRUNCATION", 0.0)
    assert np.corrcoef(cut, valuation.data_shapley(sketch, validation=validation))[0, 1] > 0.98


def test_two_seeds_of_data_shapley_agree():
    sketch, validation = blobs(150, flipped=0.1)[0], blobs(60, flipped=0.0, seed=1)[0]
    first, second = (valuation.data_shapley(sketch, validation=validation, seed=seed) for seed in (0, 1))
    assert spearmanr(first, second).statistic > 0.9


def test_the_rounds_of_data_shapley_end_when_the_values_settle(monkeypatch):
    sketch, validation = tiny()
    settled = valuation.data_shapley(sketch, validation=validation)
    monkeypatch.setattr(shapley_games, "MOST_ROUNDS", 500)
    np.testing.assert_array_equal(valuation.data_shapley(sketch, validation=validation), settled)


def test_too_many_samples_are_refused():
    features = np.ones((2001, 2), dtype=np.float32)
    sketch = sketch_of(features, features, np.zeros(2001, dtype=np.int64))
    for name in ("leave_one_out", "data_shapley", "self_leave_one_out"):
        options = {} if name.startswith("self") else {"validation": sketch}
        with pytest.raises(OgaError, match=f"{name}.*at most 2,000 samples; there are 2,001. Use --max-samples 2000"):
            getattr(valuation, name)(sketch, **options)


def test_a_head_too_large_to_retrain_is_refused():
    logits = np.zeros((4, 70), dtype=np.float32)
    sketch = sketch_of(np.ones((4, 64), dtype=np.float32), logits, np.arange(4))
    for name in ("leave_one_out", "self_leave_one_out"):
        options = {} if name.startswith("self") else {"validation": sketch}
        with pytest.raises(OgaError, match=f"{name}.*at most 63 classes with 64 features; there are 70"):
            getattr(valuation, name)(sketch, **options)


def test_one_sample_has_a_value_of_zero():
    sketch = blobs(20)[0].take(np.array([3]))
    np.testing.assert_array_equal(valuation.self_knn_shapley(sketch), [0])


def test_samples_at_one_distance_take_turns_that_the_data_do_not_choose():
    sketch, validation = tiny()
    equal = np.repeat(sketch.features[:1], 7, axis=0)
    tied = sketch_of(equal, sketch.logits, np.arange(7) % 2)
    order = np.array([3, 1, 6, 0, 2, 5, 4])
    values = valuation.knn_shapley(tied, validation=validation)
    np.testing.assert_allclose(valuation.knn_shapley(tied.take(order), validation=validation), values[order])
    assert np.ptp(values) > 0


def test_constant_features_have_finite_scores():
    features = np.ones((20, 3), dtype=np.float32)
    sketch = sketch_of(features, np.zeros((20, 2), dtype=np.float32), np.arange(20) % 2)
    for score in (valuation.leave_one_out, valuation.data_shapley, valuation.knn_shapley):
        assert np.isfinite(score(sketch, validation=sketch)).all()
