"""More samples than the caps, and many equal losses: shuffling the data still leaves every score as it was."""

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.scores import common, neighbour, valuation
from oga_core.scores.estimators import curvature, inverse
from oga_core.scores.influence import hessian, hessian_free

N = 150


@pytest.fixture(autouse=True)
def small_caps(monkeypatch):
    monkeypatch.setattr(curvature, "CURVATURE_SAMPLES", 60)
    monkeypatch.setattr(hessian, "DATAINF_SAMPLES", 40)
    monkeypatch.setattr(inverse, "TARGET_SAMPLES", 40)
    monkeypatch.setattr(inverse, "LISSA_BATCH", 16)
    monkeypatch.setattr(neighbour, "REFERENCES", 50)
    monkeypatch.setattr(valuation, "REFERENCES", 30)
    monkeypatch.setattr(hessian_free, "BLOCK", 5)


@pytest.fixture(scope="module")
def tied():
    """Samples of a sure model: only five losses among them."""
    sketch, _ = blobs(N, flipped=0.2)
    object.__setattr__(sketch, "losses", np.round(sketch.losses * 4).clip(0, 4).astype(np.float32))
    return sketch


ALONE = (
    hessian.self_hessian,
    hessian.self_lissa,
    hessian.self_datainf,
    hessian.self_arnoldi,
    hessian.self_ekfac,
    hessian.self_generalized_head,
    hessian_free.self_tracin_ensemble,
    valuation.self_knn_shapley,
    neighbour.feature_neighbours,
    neighbour.gradient_neighbours,
)
WITH_VALIDATION = (
    hessian.hessian,
    hessian.lissa,
    hessian.arnoldi,
    hessian.ekfac,
    hessian.generalized_head,
    hessian_free.tracin_ensemble,
    valuation.knn_shapley,
    valuation.data_shapley,
)


@pytest.mark.parametrize("score", [*ALONE, *WITH_VALIDATION], ids=lambda score: score.__name__)
def test_scores_do_not_depend_on_the_order_of_the_data(score, tied):
    order, moved = np.random.default_rng(3).permutation(N), np.random.default_rng(4).permutation(60)
    clean, _ = blobs(60, flipped=0.0, seed=1)
    as_given, shuffled = ({}, {}) if score in ALONE else ({"validation": clean}, {"validation": clean.take(moved)})
    values = score(tied, **as_given)
    np.testing.assert_allclose(
        score(tied.take(order), **shuffled), values[order], rtol=2e-3, atol=2e-3 * np.ptp(values)
    )


def test_the_canonical_order_is_of_the_data_and_not_of_the_positions(tied):
    order = np.random.default_rng(3).permutation(N)
    shuffled = tied.take(order)
    np.testing.assert_array_equal(
        tied.features[common.canonical_order(tied)], shuffled.features[common.canonical_order(shuffled)]
    )


def test_samples_that_only_features_tell_apart_have_their_order(tied):
    sure = sketch_of(tied.features, np.zeros((N, 3), dtype=np.float32), np.zeros(N, dtype=np.int64))
    order = np.random.default_rng(3).permutation(N)
    first, second = sure, sure.take(order)
    np.testing.assert_array_equal(
        first.features[common.canonical_order(first)], second.features[common.canonical_order(second)]
    )
