"""Influence functions: how the loss would change if a training sample were left out, by the curvature of the loss.

Two forms of each. With validation data, the score is the first-order change of the mean validation loss when sample i
is weighted up, -v̄ᵀ H⁻¹ g_i, with v̄ the mean validation gradient: positive means that the sample harms. Without,
it is the self-influence g_iᵀ H⁻¹ g_i: how much the model's loss on sample i rests on sample i alone.
"""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices
from oga_core.scores.common import drawn
from oga_core.scores.estimators.curvature import (
    DAMPING,
    EXACT_PARAMETERS,
    curvature_rows,
    damped,
    gradients,
    head_gradients,
    head_hessian,
    hessian_product,
    mean_curvature,
    mean_gradient,
)
from oga_core.scores.estimators.inverse import (
    datainf_damping,
    datainf_inverse,
    kronecker_basis,
    largest_entries,
    largest_neurons,
    lissa_product,
    target_response,
)
from oga_core.scores.estimators.spectrum import (
    filtered_norms,
    head_spectrum,
    inverse_norms,
    largest_curvature,
    weighted_squares,
)

DATAINF_SAMPLES = 2048
LISSA_TERMS = 200


def self_hessian(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the exact damped Hessian of the head: g_iᵀ (H + λI)⁻¹ g_i. Koh and Liang 2017, arXiv
    1703.04730.

    `(n_samples,)`, 0 or more. λ is 0.1 times the mean eigenvalue. Above 2,048 head parameters the inverse is that
    of the leading eigenpairs plus a multiple of the identity.
    """
    head = head_gradients(sketch)
    if np.prod(head.shape) > EXACT_PARAMETERS:
        damping = DAMPING * mean_curvature(sketch)
        return filtered_norms(head, head_spectrum(sketch, seed=seed), lambda values: 1 / (values + damping))
    return inverse_norms(head, damped(head_hessian(sketch, seed=seed)))


def hessian(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with the exact damped Hessian of the head: -v̄ᵀ (H + λI)⁻¹ g_i. Koh and Liang
    2017, arXiv 1703.04730.

    `(n_samples,)`, any sign; solved by conjugate gradients on Hessian products.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    head = head_gradients(sketch)
    direction = mean_gradient(sketch, validation)
    rows = curvature_rows(sketch, seed)
    _, features = head.block(rows)
    probabilities = sketch.probabilities[rows]
    scale = mean_curvature(sketch)
    length = max(float(np.linalg.norm(direction.astype(np.float64))), 1e-30)

    def product(vector: Floats) -> Floats:
        matrix = vector.reshape(head.shape).astype(np.float32)
        return (hessian_product(probabilities, features, matrix) / np.float32(scale) + DAMPING * matrix).ravel()

    # in units of the mean curvature, or a sure model's tiny numbers would leave the range of float32
    operator = LinearOperator((direction.size, direction.size), matvec=product, dtype=np.float32)
    solution, _ = cg(operator, direction.ravel() / np.float32(length), rtol=1e-6, maxiter=500)
    return -head.dot((solution.reshape(head.shape) * (length / scale)).astype(np.float32))


def lissa(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss by LiSSA's stochastic recursion: -r·g_i, r ← r + P (v̄ - (Ĥ + λI) r) / s. Agarwal
    et al. 2016, arXiv 1602.03943; Koh and Liang 2017, arXiv 1703.04730.

    `(n_samples,)`; Ĥ over random batches of the head's Hessian, P the inverse of EK-FAC, without which thousands of
    steps are too few, s above the largest eigenvalue of P (Ĥ + λI); r is the mean of the last half of the steps.
    """
    return -head_gradients(sketch).dot(lissa_product(sketch, mean_gradient(sketch, validation), seed))


def self_lissa(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with LiSSA's truncated series in expectation: g_iᵀ Σ_{j<J} (I - (H + λI) / s)ʲ g_i / s. Agarwal et
    al. 2016, arXiv 1602.03943.

    `(n_samples,)`; the series acts on the leading eigenpairs of the head's Hessian, and as on zero curvature
    elsewhere.
    """
    damping = DAMPING * mean_curvature(sketch)
    scale = largest_curvature(sketch, seed)

    def series(values: Floats) -> Floats:
        curvature = values + damping
        result: Floats = (1 - (1 - curvature / scale) ** LISSA_TERMS) / curvature
        return result

    return filtered_norms(head_gradients(sketch), head_spectrum(sketch, seed=seed), series)


def self_datainf(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence by DataInf: (‖g_i‖² - mean_j (g_j·g_i)² / (λ + ‖g_j‖²)) / λ, `(n_samples,)`. Kwon et al. 2024,
    arXiv 2310.00902.

    The inverse of the mean is swapped for the mean of inverses; λ = 0.1 · mean ‖g‖² / n_parameters; j runs over at
    most 2,048 random samples.
    """
    grads = gradients(sketch)
    norms = grads.squared_norms()
    damping = datainf_damping(grads, norms)
    rows = drawn(sketch, DATAINF_SAMPLES, seed)
    left, right = grads.block(rows)
    weights = damping / (damping + norms[rows]) / len(rows)
    unit = np.float32(1 / np.sqrt(damping))  # with gradients in this unit λ is 1, and no product of theirs overflows
    result = np.empty(len(sketch))
    for block, own_left, own_right in grads.blocks():
        products = (own_left @ left.T) * ((own_right * unit) @ (right * unit).T)
        result[block] = norms[block] / damping - products**2 @ weights
    return result


def datainf(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss by DataInf: -(v̄·g_i - mean_j (v̄·g_j)(g_j·g_i) / (λ + ‖g_j‖²)) / λ. Kwon et al.
    2024, arXiv 2310.00902.

    `(n_samples,)`, on the head's gradients, or the sketch where there is no head.
    """
    grads = gradients(sketch)
    direction = mean_gradient(sketch, validation)
    return -grads.dot(datainf_inverse(grads)(direction))


def self_arnoldi(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence in the 64 leading eigenvectors u of the head's Hessian: Σ_k (u_k·g_i)² / μ_k, `(n_samples,)`.
    Schioppa et al. 2022, arXiv 2112.03052.
    """
    spectrum = head_spectrum(sketch, seed=seed)
    damping = DAMPING * mean_curvature(sketch)
    return weighted_squares(head_gradients(sketch), spectrum, 1 / (spectrum.values + damping))


def arnoldi(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss in the leading eigenvectors: -Σ_k (u_k·v̄)(u_k·g_i) / μ_k, `(n_samples,)`.
    Schioppa et al. 2022, arXiv 2112.03052.
    """
    spectrum = head_spectrum(sketch, seed=seed)
    damping = DAMPING * mean_curvature(sketch)
    weights = np.einsum("klr,lr->k", spectrum.vectors, mean_gradient(sketch, validation)) / (spectrum.values + damping)
    return -head_gradients(sketch).dot(np.einsum("k,klr->lr", weights, spectrum.vectors))


def self_ekfac(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the eigenvalue-corrected Kronecker factors of the head: Σ_{c,j} (δ̃_ic h̃_ij)² / (Λ_cj + λ).
    Grosse et al. 2023, arXiv 2308.03296.

    δ̃ and h̃ in the eigenbases of E[diag(p) - ppᵀ] and E[hhᵀ], Λ the exact curvature along each pair; any number of
    classes and features.
    """
    head = head_gradients(sketch)
    classes, width, curvature = kronecker_basis(sketch, seed)
    inverse = 1 / (curvature + DAMPING * mean_curvature(sketch))
    result = np.empty(len(sketch), dtype=np.float32)
    for rows, left, right in head.blocks():
        result[rows] = np.einsum("ic,ic->i", (left @ classes) ** 2, (right @ width) ** 2 @ inverse.T)
    return result


def ekfac(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with EK-FAC's inverse of the head's Hessian: -v̄ᵀ (H_EK + λI)⁻¹ g_i. Grosse et
    al. 2023, arXiv 2308.03296.

    `(n_samples,)`.
    """
    classes, width, curvature = kronecker_basis(sketch, seed)
    rotated = classes.T @ mean_gradient(sketch, validation) @ width
    solution = classes @ (rotated / (curvature + DAMPING * mean_curvature(sketch))) @ width.T
    return -head_gradients(sketch).dot(solution)


def self_generalized_head(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence through a share of the head's parameters J: g_iJᵀ (H_JᵀH_J + λI)⁻¹ H_Jᵀ g_i, `(n_samples,)`. Lyu
    et al. 2024, arXiv 2312.05586.

    J is the tenth with the largest mean squared gradient, fewer for very large heads, and H_J the Hessian's columns
    of J: the change of these alone that best answers the whole gradient, the others held fixed.
    """
    head = head_gradients(sketch)
    columns, response = target_response(sketch, largest_entries(sketch, seed), seed)
    classes, width = np.unravel_index(columns, head.shape)
    maps = response.reshape(len(columns), *head.shape)
    flat = maps.transpose(2, 1, 0).reshape(head.shape[1], -1)
    result = np.empty(len(head), dtype=np.float32)
    for rows, left, right in head.blocks():
        change = np.einsum("il,ilj->ij", left, (right @ flat).reshape(len(left), head.shape[0], -1))
        result[rows] = np.einsum("ij,ij,ij->i", left[:, classes], right[:, width], change)
    return result


def generalized_head(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss through a share of the head's parameters J: -v̄_Jᵀ (H_JᵀH_J + λI)⁻¹ H_Jᵀ g_i.
    Lyu et al. 2024, arXiv 2312.05586.

    `(n_samples,)`; J as in `self_generalized_head`: single weights, by all samples.
    """
    return _through(largest_entries(sketch, seed), sketch, validation, seed)


def generalized_neurons(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss through whole output neurons J of the head: -v̄_Jᵀ ((H²)_JJ + λI)⁻¹ (Hg_i)_J. Lyu
    et al. 2024, arXiv 2312.05586.

    `(n_samples,)`; J holds the tenth of the neurons, at least one, with the largest mean validation gradient; λ for
    what no sample curves. Of the authors' layers this is the last.
    """
    return _through(largest_neurons(sketch, mean_gradient(sketch, validation), seed), sketch, validation, seed)


def _through(columns: Indices, sketch: GradientSketch, validation: GradientSketch, seed: int) -> Floats:
    columns, response = target_response(sketch, columns, seed)
    direction = mean_gradient(sketch, validation)
    return -head_gradients(sketch).dot((direction.ravel()[columns] @ response).reshape(direction.shape))
