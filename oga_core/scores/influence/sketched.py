"""Influence by the sketch of the gradients of all selected parameters: TRAK and LoGra, in sketch space.

The two forms and their signs are those of `hessian`.
"""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats
from oga_core.scores.estimators.curvature import (
    DAMPING,
    FLAT,
    Gradients,
    checked,
    damped,
    mean_gradient,
    sketch_gradients,
)
from oga_core.scores.estimators.inverse import fisher_inverse, second_moment
from oga_core.scores.estimators.spectrum import inverse_norms

SMALLEST_ERROR = 1e-3
SINGLE_PRECISION = 1e-6
"""Of the largest eigenvalue: the gradients are sums in float32."""


def self_trak(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence by TRAK, damped: φ_iᵀ (ΦᵀΦ + λI)⁻¹ φ_i · (1 - p_i), φ the sketched gradient of log(p / (1 - p)).
    Park et al. 2023, arXiv 2303.14186.

    `(n_samples,)`; φ_i = -sketch_i / (1 - p_i), p the given label's probability. λ, a hundredth of the mean eigenvalue,
    is ours.
    """
    features, errors = _margin_sketch(sketch)
    return _leverages(features, 1e-2) * errors


def trak(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation margins by TRAK, damped: -φ̄ᵀ (ΦᵀΦ + λI)⁻¹ φ_i · (1 - p_i), `(n_samples,)`. Park et
    al. 2023, arXiv 2303.14186.

    φ is the sketched gradient of log(p / (1 - p)), φ̄ its mean over the validation samples, λ as in `self_trak`.
    """
    features, errors = _margin_sketch(sketch)
    direction = _margin_direction(sketch, validation)
    solution = np.linalg.solve(damped(second_moment(features), 1e-2), direction[0])
    return -features.dot(solution[None]) * errors


def self_trak_undamped(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence by TRAK as published: φ_iᵀ (ΦᵀΦ)⁻¹ φ_i · (1 - p_i), `(n_samples,)`. Park et al. 2023, arXiv
    2303.14186.

    Of one model, with the pseudoinverse: what no gradient reaches has no influence. φ as in `self_trak`.
    """
    features, errors = _margin_sketch(sketch)
    if _are_few(features):
        values, vectors = _spectrum_of_products(features)
        return np.where(values > 0, vectors**2, 0).sum(axis=1) * len(errors) * errors
    inverse = _pseudoinverse(features)
    result = np.empty(len(errors))
    for rows, left, right in features.blocks():
        phi = (left * right).astype(np.float64)
        result[rows] = np.einsum("ip,ip->i", phi @ inverse, phi)
    return result * errors


def trak_undamped(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation margins by TRAK as published: -φ̄ᵀ (ΦᵀΦ)⁻¹ φ_i · (1 - p_i), `(n_samples,)`. Park et
    al. 2023, arXiv 2303.14186.

    As in `self_trak_undamped`, φ̄ the mean over the validation samples.
    """
    features, errors = _margin_sketch(sketch)
    direction = _margin_direction(sketch, validation)
    if _are_few(features):
        values, vectors = _spectrum_of_products(features)
        weights = np.divide(vectors.T @ features.dot(direction), values, where=values > 0, out=np.zeros_like(values))
        return -(vectors @ weights) * errors
    solution = _pseudoinverse(features) @ direction[0]
    return -features.dot(solution[None]) * errors


def _leverages(grads: Gradients, damping: float = DAMPING) -> Floats:
    """g_iᵀ (GᵀG / n + λI)⁻¹ g_i, `(n_samples,)`, λ = `damping` times the mean eigenvalue of GᵀG / n."""
    if not _are_few(grads):
        return inverse_norms(grads, damped(second_moment(grads), damping))
    products = _products(grads)
    scale = damping * max(float(np.trace(products)) / grads.shape[1], FLAT)
    solved = np.linalg.solve(products + scale * np.eye(len(grads)), products)
    return np.asarray(len(grads) * np.diagonal(solved))


def _are_few(grads: Gradients) -> bool:
    """Whether GGᵀ is smaller than GᵀG: it has the same eigenvalues above 0 and tells the same at less cost."""
    return len(grads) < grads.shape[1]


def _products(grads: Gradients) -> Floats:
    """GGᵀ / n, `(n_samples, n_samples)`, summed in double precision."""
    left, right = grads.block(slice(None))
    dense = left.astype(np.float64) * right
    return np.asarray(dense @ dense.T / len(grads))


def _spectrum_of_products(grads: Gradients) -> tuple[Floats, Floats]:
    """Eigenvalues of GGᵀ / n, `(n_samples,)`, 0 where rounding alone may have left one, and eigenvectors as columns."""
    values, vectors = np.linalg.eigh(_products(grads))
    return np.where(values > SINGLE_PRECISION * values[-1], values, 0), vectors


def _pseudoinverse(features: Gradients) -> Floats:
    """Of ΦᵀΦ / n, summed in double precision, since nothing damps what rounding leaves."""
    total = np.zeros((features.shape[1],) * 2)
    for _, left, right in features.blocks():
        phi = (left * right).astype(np.float64)
        total += phi.T @ phi
    return np.asarray(np.linalg.pinv(total / len(features), rcond=SINGLE_PRECISION, hermitian=True))


def _margin_direction(sketch: GradientSketch, validation: GradientSketch) -> Floats:
    mean_gradient(sketch, validation)  # refuses validation data of another model
    return _margin_sketch(validation)[0].mean()


def _margin_sketch(sketch: GradientSketch) -> tuple[Gradients, Floats]:
    """Sketched gradients of log(p / (1 - p)) and the errors 1 - p of the given label."""
    errors = np.maximum(-np.expm1(-np.asarray(sketch.losses, dtype=np.float32)), SMALLEST_ERROR)
    return Gradients((-1 / errors)[:, None], sketch.sketch), errors


def self_logra(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the damped Fisher matrix in sketch space: s_iᵀ (SᵀS / n + λI)⁻¹ s_i, `(n_samples,)`. Choe et
    al. 2024 (LoGra), arXiv 2405.13954.

    Leverage of the sketched gradient of all selected parameters.
    """
    return _leverages(sketch_gradients(sketch))


def logra(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with the damped Fisher matrix in sketch space: -s̄ᵀ (SᵀS / n + λI)⁻¹ s_i. Choe
    et al. 2024 (LoGra), arXiv 2405.13954.

    `(n_samples,)`.
    """
    grads = sketch_gradients(sketch)
    return -grads.dot(fisher_inverse(grads)(checked(grads, sketch_gradients(validation)).mean()))
