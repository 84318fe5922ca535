"""A small softmax regression with its gradients and its Hessian written out, to hold scores against."""

from __future__ import annotations

import numpy as np
import torch
from problems import sketch_of

from oga_core.numerics import softmax
from oga_core.scores.estimators import curvature
from oga_core.scores.influence import hessian_free


def trained(n_samples=80, n_classes=3, width=4, penalty=0.05, seed=0, rows=None):
    """A softmax regression at the optimum of its penalised loss, as a sketch, with weights and a validation sketch."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, width)) * 1.5
    true = rng.integers(n_classes, size=n_samples + 60)
    features = centres[true] + rng.normal(size=(len(true), width))
    given = true.copy()
    given[: n_samples // 8] = (true[: n_samples // 8] + 1) % n_classes
    members = np.arange(n_samples) if rows is None else rows
    weights = fit(features[members], given[members], n_classes, penalty)
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


def written_out(sketch, validation):
    """Gradients, mean validation gradient, Hessian and its damping."""
    matrix = hessian_matrix(sketch)
    damping = curvature.DAMPING * np.trace(matrix) / len(matrix)
    return gradient_matrix(sketch), gradient_matrix(validation).mean(axis=0), matrix, damping


def close(actual, desired, rtol=1e-3):
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=rtol * np.abs(desired).max())


def loss_of(weights, sketch):
    logits = with_bias(np.array(sketch.features)) @ weights.T
    return -np.log(softmax(logits)[np.arange(len(sketch)), sketch.given_labels])
