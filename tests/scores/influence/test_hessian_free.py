"""Inner products of gradients, ensembles, single steps and training dynamics against their definitions."""

import tracemalloc

import numpy as np
import pytest
from dense import close, gradient_matrix, loss_of, trained, with_bias
from problems import blobs, sketch_of
from scipy.stats import spearmanr

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.scores import dynamics
from oga_core.scores.estimators import curvature
from oga_core.scores.influence import hessian, hessian_free


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


@pytest.mark.parametrize("n_classes", [10, 100, 2000])
def test_models_with_dropout_read_their_weights_once_for_many_samples(n_classes, monkeypatch):
    blocks = []
    monkeypatch.setattr(hessian_free, "in_threads", lambda f, n, size: blocks.append(size) or np.zeros(n))
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    logits = features @ np.ones((3, n_classes), dtype=np.float32)
    hessian_free.self_tracin_ensemble(sketch_of(features, logits, np.zeros(20, dtype=np.int64)))
    assert min(blocks) >= 32


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
    assert spearmanr(first, second).statistic > 0.98


def test_attacked_samples_just_cross_the_boundary(problem):
    sketch, validation = problem
    weights = hessian_free.head_weights(sketch)
    attacked = hessian_free._attacked(validation, weights)
    right = validation.logits.argmax(axis=1) == validation.given_labels
    assert right.sum() > 40
    assert (attacked.logits.argmax(axis=1) != validation.given_labels)[right].all()
    assert (np.abs(attacked.features - validation.features).max(axis=1) > 0).all()
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
    close(hessian_free.mirrored_head(sketch, validation=validation), expected)


def test_self_mirrored_is_the_rise_after_a_real_step_that_unlearns_the_sample(problem, dense):
    sketch, weights = problem[0], hessian_free.head_weights(problem[0]).astype(np.float64)
    step = 0.1 * sketch.losses.mean() / (dense[0] ** 2).sum(axis=1).mean()
    heads = [weights + step * gradient.reshape(weights.shape) for gradient in dense[0]]
    expected = [(loss_of(head, sketch) - loss_of(weights, sketch))[i] for i, head in enumerate(heads)]
    close(hessian_free.self_mirrored_head(sketch), np.array(expected))


def test_class_mean_cosine_compares_with_the_mean_direction(problem, dense):
    grads, labels = dense[0], problem[0].given_labels
    units = grads / np.linalg.norm(grads, axis=1, keepdims=True)
    means = np.array([units[labels == c].mean(axis=0) for c in range(3)])[labels]
    expected = -(units * means).sum(axis=1) / np.linalg.norm(means, axis=1)
    close(hessian_free.class_mean_cosine(problem[0]), expected)


def test_validation_of_another_model_is_refused(problem):
    with pytest.raises(OgaError, match=r"shape \(3, 9\).*same model"):
        hessian.datainf(problem[0], validation=blobs(20)[0])
    with pytest.raises(OgaError, match="no samples"):
        hessian.datainf(problem[0], validation=problem[1].take(np.arange(0)))


def test_checkpoints_of_other_data_are_refused(problem):
    with pytest.raises(OgaError, match="Checkpoint 1 scored 60 samples and the model 80"):
        hessian_free.self_tracin_cp(problem[0], checkpoints=[problem[1]])
    with pytest.raises(OgaError, match="1 checkpoints of the training data and 2"):
        hessian_free.tracin_cp(problem[0], checkpoints=[problem[0]], validation_checkpoints=[problem[1]] * 2)


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
