"""Inverses of the gradients' second moment against the matrices written out."""

import numpy as np
import pytest

from oga_core.scores.estimators.curvature import Gradients
from oga_core.scores.estimators.inverse import datainf_inverse, fisher_inverse
from oga_core.scores.estimators.kronecker import ekfac_inverse

SHAPES = [(3, 5), (4,), (2, 3, 2)]


def rows_of(n, seed=0):
    """Gradients of three layers, of which the first is far larger than the others."""
    generator = np.random.default_rng(seed)
    left, right = generator.normal(size=(n, 3, 2)), generator.normal(size=(n, 2, 5))
    parts = [10 * (left @ right).reshape(n, -1), generator.normal(size=(n, 4)), generator.normal(size=(n, 12))]
    return np.concatenate(parts, axis=1).astype(np.float32)


def direction_of(rows):
    return np.random.default_rng(9).normal(size=(1, rows.shape[1])).astype(np.float32)


def damped_moment(rows):
    moment = rows.T.astype(np.float64) @ rows / len(rows)
    return moment + 0.1 * np.trace(moment) / len(moment) * np.eye(len(moment))


@pytest.mark.parametrize("n", [8, 200])  # fewer rows than numbers, and more
def test_fisher_inverse(n):
    rows = rows_of(n)
    gradients = Gradients(np.ones((n, 1), dtype=np.float32), rows)
    solved = fisher_inverse(gradients)(direction_of(rows))
    expected = np.linalg.solve(damped_moment(rows), direction_of(rows)[0])
    np.testing.assert_allclose(solved[0], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_datainf_inverse_is_the_mean_of_each_rows_inverse():
    rows = rows_of(30).astype(np.float64)
    damping = 0.1 * (rows**2).sum() / rows.size
    inverses = [np.linalg.inv(np.outer(row, row) + damping * np.eye(len(row))) for row in rows]
    gradients = Gradients(np.ones((30, 1), dtype=np.float32), rows.astype(np.float32))
    solved = datainf_inverse(gradients)(direction_of(rows))
    np.testing.assert_allclose(solved[0], np.mean(inverses, axis=0) @ direction_of(rows)[0], rtol=2e-3, atol=1e-4)


def test_refined_ekfac_is_the_inverse_of_each_layer():
    rows = rows_of(60)
    solved = ekfac_inverse(rows, SHAPES)(direction_of(rows))[0]
    start = 0
    for size in (15, 4, 12):
        part = slice(start, start + size)
        expected = np.linalg.solve(damped_moment(rows[:, part]), direction_of(rows)[0, part])
        np.testing.assert_allclose(solved[part], expected, rtol=0.02, atol=0.01 * np.abs(expected).max())
        start += size


def test_ekfac_alone_is_exact_for_kronecker_factors():
    generator = np.random.default_rng(1)
    left, right = np.linalg.qr(generator.normal(size=(4, 4)))[0], np.linalg.qr(generator.normal(size=(3, 3)))[0]
    axes = [np.outer(left[:, i], right[:, j]) * (1 + 2 * i + j) for i in range(4) for j in range(3)]
    rows = np.array([sign * axis.ravel() for axis in axes for sign in (-1, 1)], dtype=np.float32)
    solved = ekfac_inverse(rows, [(4, 3)], refine=False)(direction_of(rows))
    expected = np.linalg.solve(damped_moment(rows), direction_of(rows)[0])
    np.testing.assert_allclose(solved[0], expected, rtol=1e-3, atol=1e-4)


def test_a_layer_without_gradient_leaves_the_others_alone():
    rows = rows_of(20)
    rows[:, 15:19] = 0
    solved = ekfac_inverse(rows, SHAPES)(np.where(np.arange(31) < 15, direction_of(rows), 0).astype(np.float32))
    assert np.isfinite(solved).all()
    assert not solved[0, 15:].any()
