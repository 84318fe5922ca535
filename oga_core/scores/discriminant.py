"""Linear discriminant analysis in which every sample is judged by a fit that leaves it out, in closed form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import Array
from oga_core.scores.common import BLOCK, Indices
from oga_core.scores.label_noise import calibrated, log_likelihood

SHRINKAGES = (0.02, 0.1, 0.35, 0.65, 0.9)
PRIOR_SAMPLES = 1.0
"""Class means are drawn to the mean of all samples by this many samples, so that a class of one has a mean left."""


def discriminant_logits(features: Array, labels: Indices, n_classes: int) -> Array:
    """Leave-one-out log-likelihoods of the classes, calibrated, without class priors, `(n_samples, n_classes)`.

    Gaussian classes that share a covariance S; the covariance is shrunk towards a multiple of the identity by the
    share that makes the given labels most likely. Lachenbruch and Mickey, Technometrics 1968; Friedman, JASA 1989.
    """
    candidates = (calibrated(logits, labels) for logits in _path(standardised(features), labels, n_classes))
    return max(candidates, key=lambda logits: log_likelihood(logits, labels))


def standardised(features: Array) -> Array:
    """Columns with mean 0 and variance 1; constant columns become 0."""
    features = np.asarray(features, dtype=np.float32)
    spread = features.std(axis=0)
    result: Array = (features - features.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
    return result


def _path(x: Array, labels: Indices, n_classes: int) -> Iterator[Array]:
    """Leave-one-out -½ (x - μ_k)ᵀ S⁻¹ (x - μ_k) for every shrinkage.

    Without sample i of class y, with r = x - μ_y and N samples, μ_y moves by -r / (N - 1) and S loses β r rᵀ: the
    new distances follow from rᵀS⁻¹r and (x - μ_k)ᵀS⁻¹r by the Sherman-Morrison formula.
    """
    counts = np.bincount(labels, minlength=n_classes) + PRIOR_SAMPLES
    sums = np.zeros((n_classes, x.shape[1]), dtype=np.float32)
    np.add.at(sums, labels, x)
    means: Array = np.divide(sums, counts[:, None], dtype=np.float32, casting="unsafe")
    scatter: NDArray[np.float64] = _scatter(x, labels, means) / len(x)
    variances, axes = np.linalg.eigh(scatter)
    variances, axes = np.maximum(variances, 0), axes.astype(np.float32)
    x, means = np.matmul(x, axes), np.matmul(means, axes)
    empty, own = counts <= PRIOR_SAMPLES, counts[labels]
    for shrinkage in SHRINKAGES:
        precisions = 1 / ((1 - shrinkage) * variances + shrinkage * variances.mean() + 1e-9)
        growth = (own / (own - 1)).astype(np.float32)
        beta = (1 - shrinkage) / len(x) * growth
        blocks = (
            _without_itself(x[part], labels[part], means, precisions.astype(np.float32), growth[part], beta[part])
            for part in _slices(len(x))
        )
        distances: Array = np.concatenate(list(blocks))
        distances[:, empty] = distances.max(axis=1, keepdims=True)
        yield np.multiply(distances, np.float32(-0.5))


def _without_itself(x: Array, labels: Indices, means: Array, precisions: Array, growth: Array, beta: Array) -> Array:
    """Squared distances to the class means, each sample left out; axes are those of the covariance."""
    rows, weighted = np.arange(len(x)), means * precisions
    products, between = x @ weighted.T, weighted @ means.T  # (n_samples, n_classes), (n_classes, n_classes)
    sizes = ((x * x) @ precisions)[:, None]
    distances: Array = sizes - 2 * products + np.diag(between)
    to_own = distances[rows, labels]
    across = sizes - products - products[rows, labels][:, None] + between[labels]
    factor = beta / np.maximum(1 - beta * to_own, 1e-3)
    distances += factor[:, None] * across**2
    distances[rows, labels] = growth**2 * (to_own + factor * to_own**2)
    return distances


def _scatter(x: Array, labels: Indices, means: Array) -> NDArray[np.float64]:
    """Sum of r rᵀ over the samples, r = x - μ_y, `(n_features, n_features)`."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for part in _slices(len(x)):
        residuals = x[part] - means[labels[part]]
        total += residuals.T @ residuals
    return total


def _slices(n_samples: int) -> Iterator[slice]:
    yield from (slice(start, start + BLOCK) for start in range(0, n_samples, BLOCK))
