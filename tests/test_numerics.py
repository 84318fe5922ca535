"""Small numerics against plain computations and scikit-learn."""

import numpy as np
import pytest

from oga_core import numerics

LOGITS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * 5
LABELS = np.random.default_rng(1).integers(4, size=50)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_softmax_keeps_the_precision_and_survives_large_logits(precision):
    p = numerics.softmax((LOGITS + 1e4).astype(precision))
    assert p.dtype == precision
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numerics.softmax(LOGITS.astype(precision)), expected, rtol=1e-4)


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    expected = -np.log(numerics.softmax(LOGITS)[np.arange(50), LABELS])
    np.testing.assert_allclose(numerics.cross_entropy(LOGITS, LABELS), expected, rtol=1e-3, atol=1e-5)
    assert np.isfinite(numerics.cross_entropy(LOGITS * 1e4, LABELS)).all()


def test_the_strongest_rival_is_the_largest_other_class():
    logits = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    assert numerics.strongest_rival(logits, np.array([0, 1])).tolist() == [2, 0]
    assert numerics.negative_margin(logits, np.array([0, 1])).tolist() == [-1, 2]
    assert logits[0, 0] == 3


def test_a_single_class_has_no_margin():
    assert numerics.negative_margin(np.ones((2, 1)), np.zeros(2, dtype=np.int64)).tolist() == [0, 0]


def test_frequent_classes_lose_their_head_start():
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1]])
    adjusted = numerics.prior_adjusted(np.zeros((1, 2)), probabilities)
    np.testing.assert_allclose(adjusted, -np.log([[0.7, 0.3]]))


@pytest.mark.parametrize("count", [2, 3, 7, 99, 100])
def test_rows_are_spread_evenly_from_first_to_last(count):
    rows = numerics.evenly_spaced(np.arange(100), count)
    assert len(set(rows.tolist())) == count
    assert (rows[0], rows[-1]) == (0, 99)
    assert np.ptp(np.diff(rows)) <= 1


def test_few_rows_are_all_taken():
    assert numerics.evenly_spaced(np.array([4, 5]), 3).tolist() == [4, 5]


def test_principal_axes_agree_with_scikit_learn(monkeypatch):
    from sklearn.decomposition import PCA

    monkeypatch.setattr(numerics.slices, "__defaults__", (7,))
    rows = (np.random.default_rng(0).normal(size=(60, 8)) * np.arange(1, 9) + 100).astype(np.float32)
    principal = numerics.principal_axes(rows, 5)
    reference = PCA(5).fit(rows.astype(np.float64))
    np.testing.assert_allclose(np.abs(principal.project(rows)), np.abs(reference.transform(rows)), rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(principal.variances, reference.explained_variance_ * 59 / 60, rtol=1e-3)
    assert (principal.axes.max(axis=0) > -principal.axes.min(axis=0)).all()


def test_slices_cover_every_row_once():
    assert [list(range(10))[part] for part in numerics.slices(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_principal_axes_of_wide_rows_are_those_of_the_whole_covariance(monkeypatch):
    rows = (np.random.default_rng(0).normal(size=(300, 64)) * 0.9 ** np.arange(64)).astype(np.float32)
    exact = numerics.principal_axes(rows, 8)
    monkeypatch.setattr(numerics, "_EXACT_FEATURES", 32)
    found = numerics.principal_axes(rows, 8)
    np.testing.assert_allclose(found.variances, exact.variances, rtol=1e-3)
    np.testing.assert_allclose(np.abs((found.axes * exact.axes).sum(axis=0)), 1, atol=1e-2)


def test_ends_that_read_the_same_are_said_once():
    assert numerics.span(30.2, 41, unit=" %") == "30 to 41 %"
    assert numerics.span(91.6, 92.4, unit=" %") == "about 92 %"
    assert numerics.span(-0.001, 0.002, "{:+.3f}".format) == "-0.001 to +0.002"
    assert numerics.with_span(0.36, 0.3, 0.41, "{:.0%}".format) == "36% (30% to 41%)"
    assert numerics.with_span(2.4, 2.1, 2.4) == "about 2"
    assert numerics.with_span(2, 2, 2) == numerics.span(2, 2) == "2"  # known, as all were reviewed
