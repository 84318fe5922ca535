"""Influence scores against their definitions, with every gradient and the whole Hessian written out."""

from dataclasses import replace

import numpy as np
import pytest
from dense import close, hessian_matrix, loss_of, trained, with_bias
from problems import blobs, sketch_of
from scipy.stats import spearmanr

from oga_core.gradient_sketch import GradientSketch
from oga_core.scores.estimators import curvature, inverse, spectrum
from oga_core.scores.influence import hessian, hessian_free, sketched


def test_factored_gradients_are_the_gradients(problem, dense):
    grads, direction = curvature.head_gradients(problem[0]), dense[1].reshape(3, 5).astype(np.float32)
    close(grads.dot(direction), dense[0] @ dense[1])
    close(grads.mean().ravel(), dense[0].mean(axis=0), rtol=1e-4)
    close(grads.squared_norms(), (dense[0] ** 2).sum(axis=1))


def test_blocks_of_rows_give_what_one_block_gives(problem, monkeypatch):
    scores = [hessian.self_datainf, hessian.self_hessian, hessian_free.class_mean_cosine, hessian.self_arnoldi]
    whole = [score(problem[0]) for score in scores]
    monkeypatch.setattr(curvature, "BLOCK", 7)
    for score, expected in zip(scores, whole, strict=True):
        close(score(problem[0]), expected, rtol=1e-5)


def test_head_hessian_is_the_hessian(problem, dense):
    close(curvature.head_hessian(problem[0]), dense[2], rtol=1e-5)
    np.testing.assert_allclose(curvature.mean_curvature(problem[0]), np.trace(dense[2]) / 15, rtol=1e-4)
    columns = np.array([0, 3, 7, 14])
    close(curvature.hessian_columns(problem[0], columns, np.arange(80)), dense[2][columns], rtol=1e-5)


def test_hessian_products_need_no_hessian(problem, dense):
    _, features = curvature.head_gradients(problem[0]).block(np.arange(80))
    direction = dense[1].reshape(3, 5).astype(np.float32)
    close(curvature.hessian_product(problem[0].probabilities, features, direction).ravel(), dense[2] @ dense[1])


def test_exact_influence(problem, dense):
    grads, direction, matrix, damping = dense
    inverse = np.linalg.inv(matrix + damping * np.eye(15))
    close(hessian.self_hessian(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(hessian.hessian(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_influence_predicts_leave_one_out_retraining():
    penalty = 0.05
    sketch, validation, weights = trained(penalty=penalty)
    change = []
    for i in range(len(sketch)):
        without = trained(penalty=penalty * 80 / 79, rows=np.delete(np.arange(80), i))[2]
        change.append(loss_of(weights, validation).mean() - loss_of(without, validation).mean())
    assert np.corrcoef(hessian.hessian(sketch, validation=validation), change)[0, 1] > 0.9
    assert np.corrcoef(hessian.lissa(sketch, validation=validation), change)[0, 1] > 0.9


def test_lanczos_finds_the_leading_eigenpairs(monkeypatch):
    sketch, _, _ = trained(n_samples=200, n_classes=4, width=20)
    exact = np.linalg.eigvalsh(hessian_matrix(sketch))[::-1]
    monkeypatch.setattr(spectrum, "ARNOLDI_RANK", 10)
    found = spectrum.head_spectrum(sketch)
    np.testing.assert_allclose(np.sort(found.values)[::-1], exact[:10], rtol=1e-2)
    vectors = found.vectors.reshape(10, -1)
    close(vectors @ vectors.T, np.eye(10), rtol=1e-3)


def test_large_heads_are_solved_in_their_leading_eigenpairs(problem, dense, monkeypatch):
    monkeypatch.setattr(hessian, "EXACT_PARAMETERS", 1)
    grads, _, matrix, damping = dense
    expected = np.einsum("ip,pq,iq->i", grads, np.linalg.inv(matrix + damping * np.eye(15)), grads)
    close(hessian.self_hessian(problem[0]), expected)


def test_arnoldi_is_the_influence_in_the_leading_eigenpairs(problem, dense, monkeypatch):
    monkeypatch.setattr(spectrum, "ARNOLDI_RANK", 4)
    grads, direction, matrix, damping = dense
    values, vectors = np.linalg.eigh(matrix)
    vectors, values = vectors[:, -4:], values[-4:]
    sketch = problem[0].take(np.arange(80))
    close(hessian.self_arnoldi(sketch), ((grads @ vectors) ** 2 / (values + damping)).sum(axis=1))
    expected = -(grads @ vectors) @ ((vectors.T @ direction) / (values + damping))
    close(hessian.arnoldi(sketch, validation=problem[1]), expected)


def test_lissa_converges_to_the_exact_influence(problem, monkeypatch):
    exact = hessian.hessian(problem[0], validation=problem[1])
    monkeypatch.setattr(hessian, "LISSA_TERMS", 5000)
    close(hessian.lissa(problem[0], validation=problem[1]), exact, rtol=5e-3)
    close(hessian.self_lissa(problem[0]), hessian.self_hessian(problem[0]), rtol=5e-3)


def test_lissa_stays_stable_over_random_batches():
    sketch, validation, _ = trained(n_samples=600)
    exact = hessian.hessian(sketch, validation=validation)
    assert np.corrcoef(hessian.lissa(sketch, validation=validation), exact)[0, 1] > 0.99


def test_lissa_reaches_the_exact_influence_of_badly_scaled_features():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(900, 20)) * np.logspace(0, -2, 20)).astype(np.float32)
    logits = (features @ rng.normal(size=(20, 4)) * 3).astype(np.float32)
    both = sketch_of(features, logits, rng.integers(4, size=900))
    sketch, validation = both.take(np.arange(600)), both.take(np.arange(600, 900))
    exact = hessian.hessian(sketch, validation=validation)
    assert spearmanr(hessian.lissa(sketch, validation=validation), exact).statistic > 0.998


def datainf_inverse(grads):
    damping = curvature.DAMPING * (grads**2).sum(axis=1).mean() / grads.shape[1]
    return np.mean([np.linalg.inv(damping * np.eye(len(g)) + np.outer(g, g)) for g in grads], axis=0)


def test_datainf_is_the_mean_of_inverses(problem, dense):
    grads, direction, _, _ = dense
    inverse = datainf_inverse(grads.astype(np.float64))
    close(hessian.self_datainf(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(hessian.datainf(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_datainf_without_a_head_uses_the_sketch(problem):
    sketch, validation = (GradientSketch(s.given_labels, s.losses, s.sketch) for s in problem)
    inverse = datainf_inverse(problem[0].sketch.astype(np.float64))
    expected = -sketch.sketch @ inverse @ validation.sketch.mean(axis=0)
    close(hessian.datainf(sketch, validation=validation), expected)


def test_ekfac_is_diagonal_in_the_kronecker_eigenbasis(problem, dense):
    grads, direction, matrix, damping = dense
    features, probabilities = with_bias(np.array(problem[0].features)), problem[0].probabilities
    outer = np.mean([np.diag(p) - np.outer(p, p) for p in probabilities], axis=0)
    basis = np.kron(np.linalg.eigh(outer)[1], np.linalg.eigh(features.T @ features / 80)[1])
    diagonal = np.diag(basis.T @ matrix @ basis)
    inverse = basis @ np.diag(1 / (diagonal + damping)) @ basis.T
    close(hessian.self_ekfac(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(hessian.ekfac(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_logra_is_the_leverage_of_the_sketch(problem):
    sketch, validation = problem
    fisher = sketch.sketch.T.astype(np.float64) @ sketch.sketch / 80
    inverse = np.linalg.inv(fisher + curvature.DAMPING * np.trace(fisher) / 16 * np.eye(16))
    close(sketched.self_logra(sketch), np.einsum("ip,pq,iq->i", sketch.sketch, inverse, sketch.sketch))
    close(sketched.logra(sketch, validation=validation), -sketch.sketch @ inverse @ validation.sketch.mean(axis=0))


def test_trak_uses_gradients_of_the_log_odds(problem):
    sketch, validation = problem
    errors, validation_errors = (1 - np.exp(-s.losses.astype(np.float64)) for s in problem)
    phi, target = -sketch.sketch / errors[:, None], (-validation.sketch / validation_errors[:, None]).mean(axis=0)
    moment = phi.T @ phi / 80
    inverse = np.linalg.inv(moment + 1e-2 * np.trace(moment) / 16 * np.eye(16))
    close(sketched.self_trak(sketch), np.einsum("ip,pq,iq->i", phi, inverse, phi) * errors)
    close(sketched.trak(sketch, validation=validation), -phi @ inverse @ target * errors)


def test_trak_as_published_is_not_damped_and_what_no_gradient_reaches_has_no_influence(problem):
    sketch, validation = problem
    errors, validation_errors = (1 - np.exp(-s.losses.astype(np.float64)) for s in problem)
    phi, target = -sketch.sketch / errors[:, None], (-validation.sketch / validation_errors[:, None]).mean(axis=0)
    inverse = np.linalg.pinv(phi.T @ phi / 80, rcond=1e-6, hermitian=True)
    close(sketched.self_trak_undamped(sketch), np.einsum("ip,pq,iq->i", phi, inverse, phi) * errors)
    close(sketched.trak_undamped(sketch, validation=validation), -phi @ inverse @ target * errors)
    empty = replace(sketch, sketch=np.pad(sketch.sketch, ((0, 0), (0, 5))))
    close(sketched.self_trak_undamped(empty), sketched.self_trak_undamped(sketch))


@pytest.mark.parametrize("name", ["self_trak", "self_trak_undamped", "self_logra", "trak_undamped"])
def test_fewer_samples_than_numbers_in_a_sketch_tell_the_same(problem, name, monkeypatch):
    """A wide sketch of few samples, with a direction that few of them share, by GGᵀ and by GᵀG."""
    few, validation = (replace(s, sketch=np.pad(s.sketch, ((0, 0), (0, 120)))) for s in problem)
    few.sketch[3:9, 40] = 0.2
    arguments = {"validation": validation} if name == "trak_undamped" else {}
    by_products = getattr(sketched, name)(few, **arguments)
    monkeypatch.setattr(sketched, "_are_few", lambda grads: False)
    close(by_products, getattr(sketched, name)(few, **arguments), rtol=1e-3)


def test_generalized_influence_through_neurons_moves_all_of_one_output(problem, dense):
    grads, direction, matrix, _ = dense
    rows = direction.reshape(3, 5)
    neuron = np.linalg.norm(rows, axis=1).argmax()
    chosen = 5 * neuron + np.arange(5)
    squared = (matrix @ matrix)[np.ix_(chosen, chosen)]
    squared += curvature.DAMPING**2 * np.trace(squared) / 5 * np.eye(5)
    change = np.linalg.solve(squared, (matrix @ grads.T)[chosen])
    close(hessian.generalized_neurons(problem[0], validation=problem[1]), -direction[chosen] @ change)


def test_generalized_influence_moves_only_the_selected_parameters(problem, dense, monkeypatch):
    grads, direction, matrix, _ = dense
    monkeypatch.setattr(inverse, "TARGET_SHARE", 0.34)
    chosen = np.sort(np.argsort(-(grads**2).sum(axis=0))[:5])
    selected = matrix[:, chosen]
    gram = selected.T @ selected
    gram += curvature.DAMPING**2 * np.trace(gram) / 5 * np.eye(5)
    change = grads @ selected @ np.linalg.inv(gram)
    close(hessian.self_generalized_head(problem[0]), (grads[:, chosen] * change).sum(axis=1))
    close(hessian.generalized_head(problem[0], validation=problem[1]), -change @ direction[chosen])


def test_a_model_without_any_curvature_has_finite_scores():
    sketch, _ = blobs(60)
    certain = sketch_of(sketch.features, 1e4 * np.eye(3, dtype=np.float32)[sketch.given_labels], sketch.given_labels)
    for score in (hessian.self_hessian, hessian.self_arnoldi, hessian.self_ekfac, hessian.self_lissa):
        assert np.isfinite(score(certain)).all()
