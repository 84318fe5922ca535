"""Influence scores against their definitions, with every gradient and the whole Hessian written out."""

import tracemalloc

import numpy as np
import pytest
import torch
from problems import blobs, sketch_of
from scipy.stats import spearmanr

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch, softmax
from oga_core.scores import dynamics, hessian_free, influence
from oga_core.scores.estimators import curvature, inverse, spectrum


def trained(n_samples=80, n_classes=3, width=4, penalty=0.05, seed=0, rows=None):
    """A softmax regression at the optimum of its penalised loss, as a sketch, with weights and a validation sketch."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, width)) * 1.5
    true = rng.integers(n_classes, size=n_samples + 60)
    features = centres[true] + rng.normal(size=(len(true), width))
    given = true.copy()
    given[: n_samples // 8] = (true[: n_samples // 8] + 1) % n_classes
    kept = np.arange(n_samples) if rows is None else rows
    weights = fit(features[kept], given[kept], n_classes, penalty)
    logits = with_bias(features) @ weights.T
    both = sketch_of(features.astype(np.float32), logits.astype(np.float32), given)
    return both.take(np.arange(n_samples)), both.take(np.arange(n_samples, len(true))), weights


def with_bias(features):
    return np.pad(features, ((0, 0), (0, 1)), constant_values=1)


def fit(features, labels, n_classes, penalty):
    """Minimise mean loss + penalty / 2 · ‖W‖² with L-BFGS."""
    x, y = torch.tensor(with_bias(features)), torch.tensor(labels)
    weights = torch.zeros(n_classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=500, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weights.T, y) + penalty / 2 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach().numpy()


def gradient_matrix(sketch):
    """Head gradients by autograd, one sample at a time, `(n_samples, n_parameters)`."""
    weights = torch.tensor(hessian_free.head_weights(sketch), requires_grad=True)
    x, y = torch.tensor(with_bias(np.array(sketch.features))), torch.tensor(sketch.given_labels)
    losses = torch.nn.functional.cross_entropy(x @ weights.T, y, reduction="none")
    return np.array([torch.autograd.grad(loss, weights, retain_graph=True)[0].numpy().ravel() for loss in losses])


def hessian_matrix(sketch):
    """Hessian of the mean loss in the head's parameters by autograd."""
    weights = torch.tensor(hessian_free.head_weights(sketch)).double()
    x, y = torch.tensor(with_bias(np.array(sketch.features))).double(), torch.tensor(sketch.given_labels)
    matrix = torch.autograd.functional.hessian(lambda w: torch.nn.functional.cross_entropy(x @ w.T, y), weights)
    return matrix.numpy().reshape(weights.numel(), -1)


@pytest.fixture(scope="module")
def problem():
    sketch, validation, _ = trained()
    return sketch, validation


@pytest.fixture(scope="module")
def dense(problem):
    """Gradients, mean validation gradient and damped Hessian, written out."""
    matrix = hessian_matrix(problem[0])
    damping = curvature.DAMPING * np.trace(matrix) / len(matrix)
    return gradient_matrix(problem[0]), gradient_matrix(problem[1]).mean(axis=0), matrix, damping


def close(actual, desired, rtol=1e-3):
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=rtol * np.abs(desired).max())


def test_factored_gradients_are_the_gradients(problem, dense):
    grads, direction = curvature.head_gradients(problem[0]), dense[1].reshape(3, 5).astype(np.float32)
    close(grads.dot(direction), dense[0] @ dense[1])
    close(grads.mean().ravel(), dense[0].mean(axis=0), rtol=1e-4)
    close(grads.squared_norms(), (dense[0] ** 2).sum(axis=1))


def test_blocks_of_rows_give_what_one_block_gives(problem, monkeypatch):
    scores = [influence.self_datainf, influence.self_hessian, hessian_free.class_mean_cosine, influence.self_arnoldi]
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
    close(influence.self_hessian(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(influence.hessian(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_influence_predicts_leave_one_out_retraining():
    penalty = 0.05
    sketch, validation, weights = trained(penalty=penalty)
    change = []
    for i in range(len(sketch)):
        without = trained(penalty=penalty * 80 / 79, rows=np.delete(np.arange(80), i))[2]
        change.append(loss_of(weights, validation).mean() - loss_of(without, validation).mean())
    assert np.corrcoef(influence.hessian(sketch, validation=validation), change)[0, 1] > 0.9
    assert np.corrcoef(influence.lissa(sketch, validation=validation), change)[0, 1] > 0.9


def loss_of(weights, sketch):
    logits = with_bias(np.array(sketch.features)) @ weights.T
    return -np.log(softmax(logits)[np.arange(len(sketch)), sketch.given_labels])


def test_lanczos_finds_the_leading_eigenpairs(monkeypatch):
    sketch, _, _ = trained(n_samples=200, n_classes=4, width=20)
    exact = np.linalg.eigvalsh(hessian_matrix(sketch))[::-1]
    monkeypatch.setattr(spectrum, "ARNOLDI_RANK", 10)
    found = spectrum.head_spectrum(sketch)
    np.testing.assert_allclose(np.sort(found.values)[::-1], exact[:10], rtol=1e-2)
    vectors = found.vectors.reshape(10, -1)
    close(vectors @ vectors.T, np.eye(10), rtol=1e-3)


def test_large_heads_are_solved_in_their_leading_eigenpairs(problem, dense, monkeypatch):
    monkeypatch.setattr(influence, "EXACT_PARAMETERS", 1)
    grads, _, matrix, damping = dense
    expected = np.einsum("ip,pq,iq->i", grads, np.linalg.inv(matrix + damping * np.eye(15)), grads)
    close(influence.self_hessian(problem[0]), expected)


def test_arnoldi_is_the_influence_in_the_leading_eigenpairs(problem, dense, monkeypatch):
    monkeypatch.setattr(spectrum, "ARNOLDI_RANK", 4)
    grads, direction, matrix, damping = dense
    values, vectors = np.linalg.eigh(matrix)
    vectors, values = vectors[:, -4:], values[-4:]
    sketch = problem[0].take(np.arange(80))
    close(influence.self_arnoldi(sketch), ((grads @ vectors) ** 2 / (values + damping)).sum(axis=1))
    expected = -(grads @ vectors) @ ((vectors.T @ direction) / (values + damping))
    close(influence.arnoldi(sketch, validation=problem[1]), expected)


def test_lissa_converges_to_the_exact_influence(problem, monkeypatch):
    exact = influence.hessian(problem[0], validation=problem[1])
    monkeypatch.setattr(influence, "LISSA_TERMS", 5000)
    close(influence.lissa(problem[0], validation=problem[1]), exact, rtol=5e-3)
    close(influence.self_lissa(problem[0]), influence.self_hessian(problem[0]), rtol=5e-3)


def test_lissa_stays_stable_over_random_batches():
    sketch, validation, _ = trained(n_samples=600)
    exact = influence.hessian(sketch, validation=validation)
    assert np.corrcoef(influence.lissa(sketch, validation=validation), exact)[0, 1] > 0.99


def test_lissa_reaches_the_exact_influence_of_badly_scaled_features():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(900, 20)) * np.logspace(0, -2, 20)).astype(np.float32)
    logits = (features @ rng.normal(size=(20, 4)) * 3).astype(np.float32)
    both = sketch_of(features, logits, rng.integers(4, size=900))
    sketch, validation = both.take(np.arange(600)), both.take(np.arange(600, 900))
    exact = influence.hessian(sketch, validation=validation)
    assert spearmanr(influence.lissa(sketch, validation=validation), exact).statistic > 0.998


def datainf_inverse(grads):
    damping = curvature.DAMPING * (grads**2).sum(axis=1).mean() / grads.shape[1]
    return np.mean([np.linalg.inv(damping * np.eye(len(g)) + np.outer(g, g)) for g in grads], axis=0)


def test_datainf_is_the_mean_of_inverses(problem, dense):
    grads, direction, _, _ = dense
    inverse = datainf_inverse(grads.astype(np.float64))
    close(influence.self_datainf(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(influence.datainf(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_datainf_without_a_head_uses_the_sketch(problem):
    sketch, validation = (GradientSketch(s.given_labels, s.losses, s.sketch) for s in problem)
    inverse = datainf_inverse(problem[0].sketch.astype(np.float64))
    expected = -sketch.sketch @ inverse @ validation.sketch.mean(axis=0)
    close(influence.datainf(sketch, validation=validation), expected)


def test_ekfac_is_diagonal_in_the_kronecker_eigenbasis(problem, dense):
    grads, direction, matrix, damping = dense
    features, probabilities = with_bias(np.array(problem[0].features)), problem[0].probabilities
    outer = np.mean([np.diag(p) - np.outer(p, p) for p in probabilities], axis=0)
    basis = np.kron(np.linalg.eigh(outer)[1], np.linalg.eigh(features.T @ features / 80)[1])
    diagonal = np.diag(basis.T @ matrix @ basis)
    inverse = basis @ np.diag(1 / (diagonal + damping)) @ basis.T
    close(influence.self_ekfac(problem[0]), np.einsum("ip,pq,iq->i", grads, inverse, grads))
    close(influence.ekfac(problem[0], validation=problem[1]), -grads @ inverse @ direction)


def test_logra_is_the_leverage_of_the_sketch(problem):
    sketch, validation = problem
    fisher = sketch.sketch.T.astype(np.float64) @ sketch.sketch / 80
    inverse = np.linalg.inv(fisher + curvature.DAMPING * np.trace(fisher) / 16 * np.eye(16))
    close(influence.self_logra(sketch), np.einsum("ip,pq,iq->i", sketch.sketch, inverse, sketch.sketch))
    close(influence.logra(sketch, validation=validation), -sketch.sketch @ inverse @ validation.sketch.mean(axis=0))


def test_trak_uses_gradients_of_the_log_odds(problem):
    sketch, validation = problem
    errors, validation_errors = (1 - np.exp(-s.losses.astype(np.float64)) for s in problem)
    phi, target = -sketch.sketch / errors[:, None], (-validation.sketch / validation_errors[:, None]).mean(axis=0)
    moment = phi.T @ phi / 80
    inverse = np.linalg.inv(moment + 1e-2 * np.trace(moment) / 16 * np.eye(16))
    close(influence.self_trak(sketch), np.einsum("ip,pq,iq->i", phi, inverse, phi) * errors)
    close(influence.trak(sketch, validation=validation), -phi @ inverse @ target * errors)


def test_generalized_influence_moves_only_the_selected_parameters(problem, dense, monkeypatch):
    grads, direction, matrix, _ = dense
    monkeypatch.setattr(inverse, "TARGET_SHARE", 0.34)
    chosen = np.sort(np.argsort(-(grads**2).sum(axis=0))[:5])
    selected = matrix[:, chosen]
    gram = selected.T @ selected
    gram += curvature.DAMPING**2 * np.trace(gram) / 5 * np.eye(5)
    change = grads @ selected @ np.linalg.inv(gram)
    close(influence.self_generalized(problem[0]), (grads[:, chosen] * change).sum(axis=1))
    close(influence.generalized(problem[0], validation=problem[1]), -change @ direction[chosen])


def test_tracin_is_minus_the_inner_product(problem, dense):
    close(hessian_free.tracin(problem[0], validation=problem[1]), -dense[0] @ dense[1])
    sketched = -problem[0].sketch @ problem[1].sketch.mean(axis=0)
    close(hessian_free.tracin_sketch(problem[0], validation=problem[1]), sketched)


def test_tracin_cp_averages_the_checkpoints(problem, dense):
    other, other_validation, _ = trained(penalty=0.5)
    gradients, validation = gradient_matrix(other), gradient_matrix(other_validation).mean(axis=0)
    checkpoints, along = [problem[0], other], [problem[1], other_validation]
    scores = hessian_free.tracin_cp(problem[0], checkpoints=checkpoints, validation_checkpoints=along)
    close(scores, -(dense[0] @ dense[1] + gradients @ validation) / 2)
    own = hessian_free.self_tracin_cp(problem[0], checkpoints=checkpoints)
    close(own, ((dense[0] ** 2).sum(axis=1) + (gradients**2).sum(axis=1)) / 2)


def test_ensemble_averages_models_with_dropped_features(problem, monkeypatch):
    monkeypatch.setattr(hessian_free, "DROPOUT_MASKS", 3)
    sketch, validation = problem
    weights, expected = hessian_free.head_weights(sketch), []
    for mask in hessian_free._masks(sketch, 0):
        assert set(np.unique(mask)) <= {0, np.float32(1.25)}
        parts = [
            sketch_of(s.features * mask, with_bias(s.features * mask) @ weights.T, s.given_labels) for s in problem
        ]
        grads = [curvature.head_gradients(part) for part in parts]
        flat = [(g.left[:, :, None] * with_bias(g.right)[:, None]).reshape(len(g), -1) for g in grads]
        expected.append(-flat[0] @ flat[1].mean(axis=0))
    close(hessian_free.tracin_ensemble(sketch, validation=validation), np.mean(expected, axis=0))
    close(
        hessian_free.self_tracin_ensemble(sketch).mean(),
        np.mean(
            [
                (hessian_free.gradients(hessian_free._masked(sketch, weights, m)).squared_norms()).mean()
                for m in hessian_free._masks(sketch, 0)
            ]
        ),
    )


def test_the_ensemble_holds_one_model_at_a_time():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 100)).astype(np.float32)
    logits = (features @ rng.normal(size=(100, 3))).astype(np.float32)
    sketch = GradientSketch(np.arange(3000) % 3, features[:, 0].copy(), features[:, :4], logits, features)
    few = sketch.take(np.arange(50))
    tracemalloc.start()
    hessian_free.tracin_ensemble(sketch, validation=few)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * features.nbytes


def test_two_seeds_of_the_ensemble_agree():
    sketch, validation, _ = trained(n_samples=300, width=40)
    first, second = (hessian_free.tracin_ensemble(sketch, validation=validation, seed=seed) for seed in (0, 1))
    print(spearmanr(first, second).statistic)
    assert spearmanr(first, second).statistic > 0.98


def test_a_step_on_a_high_fairness_score_widens_the_gap(problem):
    sketch, validation = problem
    groups = np.arange(len(validation)) % 2
    scores = hessian_free.tracin_fairness(sketch, validation=validation, groups=groups)
    weights, grads = hessian_free.head_weights(sketch).astype(np.float64), gradient_matrix(sketch)

    def gap(head):
        losses = loss_of(head, validation)
        return abs(losses[groups == 0].mean() - losses[groups == 1].mean())

    for i in (scores.argmin(), scores.argmax()):
        step = 1e-4 * grads[i].reshape(weights.shape)
        np.testing.assert_allclose((gap(weights - step) - gap(weights)) / 1e-4, scores[i], rtol=2e-2)


def test_attacked_samples_just_cross_the_boundary(problem):
    sketch, validation = problem
    weights = hessian_free.head_weights(sketch)
    attacked = hessian_free._attacked(validation, weights)
    right = validation.logits.argmax(axis=1) == validation.given_labels
    assert right.sum() > 40
    assert (attacked.logits.argmax(axis=1) != validation.given_labels)[right].all()
    np.testing.assert_array_equal(attacked.features[~right], validation.features[~right])
    expected = -gradient_matrix(sketch) @ gradient_matrix(attacked).mean(axis=0)
    close(hessian_free.tracin_robustness(sketch, validation=validation), expected)


def test_head_weights_are_found_from_features_and_logits(problem):
    close(hessian_free.head_weights(problem[0]), trained()[2], rtol=1e-3)


def test_logits_that_are_not_linear_in_the_features_are_refused(problem):
    sketch = problem[0].take(np.arange(80))
    object.__setattr__(sketch, "logits", np.tanh(sketch.logits))
    with pytest.raises(OgaError, match="not a linear function of the features"):
        hessian_free.head_weights(sketch)


def test_mirrored_influence_is_the_change_after_a_real_step(problem, dense):
    sketch, validation = problem
    weights, direction = hessian_free.head_weights(sketch), dense[1].reshape(3, 5)
    step = 0.1 * validation.losses.mean() / (direction**2).sum()
    expected = loss_of(weights - step * direction, sketch) - loss_of(weights, sketch)
    close(hessian_free.mirrored(sketch, validation=validation), expected)


def test_self_mirrored_is_the_rise_after_a_real_step_that_unlearns_the_sample(problem, dense):
    sketch, weights = problem[0], hessian_free.head_weights(problem[0]).astype(np.float64)
    step = 0.1 * sketch.losses.mean() / (dense[0] ** 2).sum(axis=1).mean()
    heads = [weights + step * gradient.reshape(weights.shape) for gradient in dense[0]]
    expected = [(loss_of(head, sketch) - loss_of(weights, sketch))[i] for i, head in enumerate(heads)]
    close(hessian_free.self_mirrored(sketch), np.array(expected))


def test_class_mean_cosine_compares_with_the_mean_direction(problem, dense):
    grads, labels = dense[0], problem[0].given_labels
    units = grads / np.linalg.norm(grads, axis=1, keepdims=True)
    means = np.array([units[labels == c].mean(axis=0) for c in range(3)])[labels]
    expected = -(units * means).sum(axis=1) / np.linalg.norm(means, axis=1)
    close(hessian_free.class_mean_cosine(problem[0]), expected)


def test_validation_of_another_model_is_refused(problem):
    with pytest.raises(OgaError, match=r"shape \(3, 9\).*same model"):
        influence.datainf(problem[0], validation=blobs(20)[0])
    with pytest.raises(OgaError, match="no samples"):
        influence.datainf(problem[0], validation=problem[1].take(np.arange(0)))


def test_checkpoints_of_other_data_are_refused(problem):
    with pytest.raises(OgaError, match="Checkpoint 1 scored 60 samples and the model 80"):
        hessian_free.self_tracin_cp(problem[0], checkpoints=[problem[1]])
    with pytest.raises(OgaError, match="1 checkpoints of the training data and 2"):
        hessian_free.tracin_cp(problem[0], checkpoints=[problem[0]], validation_checkpoints=[problem[1]] * 2)


def test_a_model_without_any_curvature_has_finite_scores():
    sketch, _ = blobs(60)
    certain = sketch_of(sketch.features, 1e4 * np.eye(3, dtype=np.float32)[sketch.given_labels], sketch.given_labels)
    for score in (influence.self_hessian, influence.self_arnoldi, influence.self_ekfac, influence.self_lissa):
        assert np.isfinite(score(certain)).all()


def checkpoint(margins):
    """Two classes, every given label 0, with the given logit margins."""
    logits = np.stack([np.array(margins), np.zeros(len(margins))], axis=1).astype(np.float32)
    return sketch_of(np.ones((len(margins), 1), dtype=np.float32), logits, np.zeros(len(margins), dtype=np.int64))


def test_training_dynamics():
    checkpoints = [checkpoint([2.0, -1.0, 3.0]), checkpoint([-2.0, -1.0, 4.0]), checkpoint([1.0, -1.0, 5.0])]
    last = checkpoints[-1]
    close(dynamics.aum(last, checkpoints=checkpoints), [-1 / 3, 1, -4], rtol=1e-6)
    np.testing.assert_array_equal(dynamics.forgetting(last, checkpoints=checkpoints), [1, 3, 0])
    probabilities = 1 / (1 + np.exp(-np.array([[2, -1, 3], [-2, -1, 4], [1, -1, 5.0]])))
    close(dynamics.mean_loss(last, checkpoints=checkpoints), -np.log(probabilities).mean(axis=0), rtol=1e-5)
    close(dynamics.mean_error(last, checkpoints=checkpoints), 1 - probabilities.mean(axis=0), rtol=1e-5)
    close(dynamics.variability(last, checkpoints=checkpoints), probabilities.std(axis=0), rtol=1e-4)
