"""Linear discriminant analysis in which every sample is judged by a fit that leaves it out, in closed form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oga_core.gradient_sketch import Array
from oga_core.scores.common import Indices
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
    n_samples, rows = len(x), np.arange(len(x))
    counts = np.bincount(labels, minlength=n_classes) + PRIOR_SAMPLES
    sums = np.zeros((n_classes, x.shape[1]), dtype=np.float32)
    np.add.at(sums, labels, x)
    means = sums / counts[:, None].astype(np.float32)
    residuals = x - means[labels]
    variances, axes = np.linalg.eigh((residuals.T @ residuals).astype(np.float64) / n_samples)
    variances = np.maximum(variances, 0)
    x, means = x @ axes.astype(np.float32), means @ axes.astype(np.float32)
    squares, own = x * x, counts[labels].astype(np.float32)
    for shrinkage in SHRINKAGES:
        weights = 1 / ((1 - shrinkage) * variances + shrinkage * variances.mean() + 1e-9)
        weighted = means * weights.astype(np.float32)
        products, between = x @ weighted.T, weighted @ means.T  # (n_samples, n_classes), (n_classes, n_classes)
        sizes = (squares @ weights.astype(np.float32))[:, None]
        distances = sizes - 2 * products + np.diag(between)
        to_own = distances[rows, labels]
        across = sizes - products - products[rows, labels][:, None] + between[labels]
        growth = own / (own - 1)
        beta = (1 - shrinkage) * growth / n_samples
        factor = beta / np.maximum(1 - beta * to_own, 1e-3)
        distances += factor[:, None] * across**2
        distances[rows, labels] = growth**2 * (to_own + factor * to_own**2)
        yield -0.5 * distances
