"""Discriminant analysis in which every sample is judged by a fit that has not seen its label, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Rows, each_in_threads, evenly_spaced, room, slices
from oga_core.scores.estimators.calibration import calibrated, log_likelihood
from oga_core.scores.feature_rows import FourierRows, ScaledRows

SHRINKAGES = (0.02, 0.1, 0.35, 0.65, 0.9)
PRIOR_SAMPLES = 1.0
"""Class means are drawn to the mean of all samples by this many samples, so that a class of one has a mean left."""
CHOSEN_ON = 100_000
"""Samples on which the shrinkage is chosen: its five candidates differ by more than so many leave open."""


def discriminant_logits(features: Rows, labels: Indices, n_classes: int) -> Array:
    """Leave-one-out log-likelihoods of the classes, calibrated, without class priors, `(n_samples, n_classes)`.

    Gaussian classes that share a covariance S; the covariance is shrunk towards a multiple of the identity by the
    share that makes the given labels most likely. Lachenbruch and Mickey, Technometrics 1968; Friedman, JASA 1989.
    Features are read block by block, so that memory grows with the classes and not with the features.
    """
    x = ScaledRows.of(features)
    fit = _Fit.of(x, labels, n_classes)
    few = evenly_spaced(np.arange(len(x)), CHOSEN_ON)
    rows = np.empty((len(few), x.shape[1]), dtype=np.float32)
    for part in slices(len(few)):
        np.matmul(x[few[part]], fit.axes, out=rows[part])
    logits, shrinkage = max(
        ((calibrated(fit.left_out(rows, labels[few], share), labels[few]), share) for share in SHRINKAGES),
        key=lambda candidate: log_likelihood(candidate[0], labels[few]),
    )
    if len(few) == len(x):
        return logits
    del logits, rows
    return calibrated(fit.left_out(x, labels, shrinkage, axes=fit.axes), labels)


def validated_logits(
    features: Array, labels: Indices, clean_features: Array, clean_labels: Indices, n_classes: int
) -> Array:
    """Log-likelihoods of the classes by a fit on clean samples alone, calibrated, `(n_samples, n_classes)`.

    features, labels: of the samples that are judged; the labels choose shrinkage and scale, nothing else.
    """
    both = standardised(np.concatenate([features, clean_features]))
    x = both[: len(features)]
    clean = both[len(features) :]
    fit = _Fit.of(clean, clean_labels, n_classes)
    x = x @ fit.axes
    return _likeliest((fit.elsewhere(x, shrinkage) for shrinkage in SHRINKAGES), labels)


def fourier_features(features: Rows) -> Array:
    """Random features whose products are a Gaussian kernel as wide as the data, `(n_samples, 512)`.

    A linear fit on them bends with the data. Rahimi and Recht, NeurIPS 2007.
    """
    rows = FourierRows.of(features)
    result = np.empty(rows.shape, dtype=np.float32)
    for part in slices(len(rows)):
        result[part] = rows[part]
    return result


def standardised(features: Rows) -> Array:
    """Columns with mean 0 and variance 1; constant columns become 0."""
    rows = ScaledRows.of(features)
    result = np.empty(rows.shape, dtype=np.float32)
    for part in slices(len(rows)):
        result[part] = rows[part]
    return result


def _likeliest(candidates: Iterator[Array], labels: Indices) -> Array:
    return max((calibrated(logits, labels) for logits in candidates), key=lambda logits: log_likelihood(logits, labels))


@dataclass(frozen=True, eq=False)
class _Fit:
    """Class means and the covariance that the classes share, on the covariance's own axes.

    means: `(n_classes, n_features)`. variances: `(n_features,)`, along the columns of `axes`. counts: `(n_classes,)`.
    """

    means: Array
    variances: NDArray[np.float64]
    axes: Array
    counts: NDArray[np.floating[Any]]
    n_samples: int

    @classmethod
    def of(cls, x: Rows, labels: Indices, n_classes: int) -> _Fit:
        counts = np.bincount(labels, minlength=n_classes) + PRIOR_SAMPLES
        sums = np.zeros((n_classes, x.shape[1]))
        for of_classes in each_in_threads(
            lambda part: (labels[part] == np.arange(n_classes)[:, None]).astype(np.float32) @ x[part], len(x)
        ):
            sums += of_classes
        means: Array = np.divide(sums, counts[:, None], dtype=np.float32, casting="unsafe")
        variances, axes = np.linalg.eigh(_scatter(x, labels, means) / len(x))
        axes = axes.astype(np.float32)
        return cls(np.matmul(means, axes), np.maximum(variances, 0), axes, counts, len(x))

    def left_out(self, x: Rows, labels: Indices, shrinkage: float, *, axes: Array | None = None) -> Array:
        """Log-likelihoods -½ (x - μ_k)ᵀ S⁻¹ (x - μ_k) of the fit's own samples on its axes, each without itself.

        axes: to which the rows are still to be turned.

        Without sample i of class y, with r = x - μ_y and N samples, μ_y moves by -r / (N - 1) and S loses β r rᵀ: the
        new distances follow from rᵀS⁻¹r and (x - μ_k)ᵀS⁻¹r by the Sherman-Morrison formula.
        """
        precisions = self._precisions(shrinkage)
        own = self.counts[labels]
        growth = (own / (own - 1)).astype(np.float32)
        beta = (1 - shrinkage) / self.n_samples * growth

        def distances(part: slice) -> Array:
            rows = x[part] if axes is None else x[part] @ axes
            return _without_itself(rows, labels[part], self.means, precisions, growth[part], beta[part])

        return self._likelihoods(each_in_threads(distances, len(x)), len(x))

    def elsewhere(self, x: Array, shrinkage: float) -> Array:
        """The same log-likelihoods of samples on its axes that the fit has not seen."""
        precisions = self._precisions(shrinkage)
        return self._likelihoods(
            (_squared_distances(x[part], self.means, precisions) for part in slices(len(x))), len(x)
        )

    def _precisions(self, shrinkage: float) -> Array:
        shrunk = (1 - shrinkage) * self.variances + shrinkage * self.variances.mean() + 1e-9
        return (1 / shrunk).astype(np.float32)

    def _likelihoods(self, blocks: Iterator[Array], n_samples: int) -> Array:
        likelihoods: Array = room((n_samples, len(self.means)))
        for part, distances in zip(slices(n_samples), blocks, strict=True):
            distances[:, self.counts <= PRIOR_SAMPLES] = distances.max(axis=1, keepdims=True)
            np.multiply(distances, np.float32(-0.5), out=likelihoods[part])
        return likelihoods


def _squared_distances(x: Array, means: Array, precisions: Array) -> Array:
    weighted = means * precisions
    distances: Array = ((x * x) @ precisions)[:, None] - 2 * x @ weighted.T + np.einsum("ij,ij->i", weighted, means)
    return distances


def _without_itself(x: Array, labels: Indices, means: Array, precisions: Array, growth: Array, beta: Array) -> Array:
    """Squared distances to the class means, each sample left out; axes are those of the covariance."""
    rows = np.arange(len(x))
    weighted = means * precisions
    # (n_samples, n_classes), (n_classes, n_classes)
    products = x @ weighted.T
    between = weighted @ means.T
    sizes = ((x * x) @ precisions)[:, None]
    distances: Array = sizes - 2 * products + np.diag(between)
    to_own = distances[rows, labels]
    across = sizes - products - products[rows, labels][:, None] + between[labels]
    factor = beta / np.maximum(1 - beta * to_own, 1e-3)
    distances += factor[:, None] * across**2
    distances[rows, labels] = growth**2 * (to_own + factor * to_own**2)
    return distances


def _scatter(x: Rows, labels: Indices, means: Array) -> NDArray[np.float64]:
    """Sum of r rᵀ over the samples, r = x - μ_y, `(n_features, n_features)`.

    The prior's samples at the origin are among them: only with them do the residuals of a class sum to zero, as the
    closed form for leaving one out demands; else it leaks labels where there are more features than samples.
    """
    drawn = means.astype(np.float64)
    total = PRIOR_SAMPLES * drawn.T @ drawn

    def of(part: slice) -> Array:
        residuals = x[part] - means[labels[part]]
        scatter: Array = residuals.T @ residuals
        return scatter

    for scatter in each_in_threads(of, len(x)):
        total += scatter
    return total
