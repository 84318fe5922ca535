"""Models that are sure of every sample, features of any size, and data of one sample."""

import warnings

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.scores import outlier
from oga_core.scores.estimators import curvature, spectrum
from oga_core.scores.influence import hessian

HEAD_SCORES = (
    hessian.self_hessian,
    hessian.self_lissa,
    hessian.self_arnoldi,
    hessian.self_ekfac,
    hessian.self_datainf,
    hessian.self_generalized_head,
)
VALIDATION_SCORES = (hessian.hessian, hessian.lissa, hessian.arnoldi, hessian.ekfac, hessian.datainf)


def memorised(scale, n_classes=10, width=40, n_samples=200):
    """A model whose logits for the given label exceed the others by about `scale`; more than 256 head parameters."""
    rng = np.random.default_rng(0)
    given = rng.integers(n_classes, size=n_samples)
    logits = scale * (np.eye(n_classes)[given] + 0.1 * rng.random((n_samples, n_classes)))
    return sketch_of(rng.normal(size=(n_samples, width)).astype(np.float32), logits.astype(np.float32), given)


@pytest.mark.parametrize("scale", [3, 10, 17, 20, 30, 90, 1e4])
@pytest.mark.parametrize("parameters", [1, curvature.EXACT_PARAMETERS], ids=["large", "exact"])
def test_memorised_models_have_finite_scores(scale, parameters, monkeypatch):
    monkeypatch.setattr(hessian, "EXACT_PARAMETERS", parameters)
    sketch = memorised(scale)
    for score in HEAD_SCORES:
        assert np.isfinite(score(sketch)).all(), score
    for score in VALIDATION_SCORES:
        assert np.isfinite(score(sketch, validation=sketch)).all(), score


def test_no_curvature_has_a_spectrum_of_zeros():
    assert spectrum.head_spectrum(memorised(1e4)).values.tolist() == [0]


def test_a_draw_without_curvature_has_a_spectrum_of_zeros(monkeypatch):
    sketch = memorised(1e4)
    sketch.logits[0] = 0
    monkeypatch.setattr(spectrum, "curvature_rows", lambda sketch, seed: np.arange(1, len(sketch)))
    assert curvature.mean_curvature(sketch) > curvature.FLAT
    assert not spectrum.head_spectrum(sketch).values.any()  # one zero or all 64, as the release of ARPACK has it


def test_the_curvature_of_a_sure_model_is_not_lost_in_rounding():
    sketch = memorised(20)
    exact = sketch.logits.astype(np.float64)
    p = np.exp(exact - exact.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    others = np.array([[np.delete(row, c).sum() for c in range(10)] for row in p])
    features = np.pad(sketch.features, ((0, 0), (0, 1)), constant_values=1).astype(np.float64)
    trace = ((p * others).sum(axis=1) * (features**2).sum(axis=1)).mean()
    np.testing.assert_allclose(curvature.mean_curvature(sketch) * 410, trace, rtol=1e-3)
    np.testing.assert_allclose(np.trace(curvature.head_hessian(sketch)), trace, rtol=1e-3)
    direction = np.random.default_rng(1).normal(size=(10, 41)).astype(np.float32)
    steps = features @ direction.T
    differences = (p[:, None] * (steps[:, :, None] - steps[:, None, :])).sum(axis=2)
    product = curvature.hessian_product(sketch.probabilities, features.astype(np.float32), direction)
    expected = (p * differences).T @ features / len(features)
    np.testing.assert_allclose(product, expected, atol=1e-3 * np.abs(expected).max())


def test_a_matrix_that_rounding_made_indefinite_is_inverted_all_the_same():
    grads = curvature.Gradients(np.ones((2, 1), dtype=np.float32), np.eye(2, dtype=np.float32))
    matrix = np.diag([1.0, -1e-9]).astype(np.float32)
    norms = spectrum.inverse_norms(grads, matrix)
    assert norms[0] == pytest.approx(1)
    assert norms[1] > 1e5


def test_features_of_any_size_have_the_influence_of_the_same_data_in_other_units():
    sketch, _ = blobs(80)
    large = sketch_of(sketch.features * np.float32(1e15), sketch.logits, sketch.given_labels)
    scores = hessian.self_datainf(large)
    assert np.ptp(scores) > 0
    unbiased = sketch_of(sketch.features * np.float32(1e6), sketch.logits, sketch.given_labels)
    np.testing.assert_allclose(scores, hessian.self_datainf(unbiased), rtol=1e-3)


def test_one_sample_lies_at_the_centre():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(outlier.mahalanobis(blobs(5)[0].take(np.array([2]))), [0])
