"""Influence functions: how the loss would change if a training sample were left out, by the curvature of the loss.

Two forms of each. With validation data, the score is the first-order change of the mean validation loss when sample i
is weighted up, -v̄ᵀ H⁻¹ g_i, with v̄ the mean validation gradient: positive means that the sample harms. Without,
it is the self-influence g_iᵀ H⁻¹ g_i: how much the model's loss on sample i rests on sample i alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import GradientSketch
from oga_core.scores.curvature import (
    DAMPING,
    EXACT_PARAMETERS,
    Floats,
    Gradients,
    Spectrum,
    checked,
    curvature_rows,
    damped,
    gradients,
    head_gradients,
    head_hessian,
    head_spectrum,
    hessian_columns,
    hessian_product,
    mean_curvature,
    mean_gradient,
    sketch_gradients,
)

DATAINF_SAMPLES = 2048
LISSA_STEPS = 200
LISSA_BATCH = 256
LISSA_ENTRIES = 5e7
LISSA_REPEATS = 4
TARGET_SHARE = 0.1
TARGET_SAMPLES = 4096
TARGET_PRODUCTS = 1e10
SMALLEST_ERROR = 1e-3


def self_hessian(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the exact damped Hessian of the head: g_iᵀ (H + λI)⁻¹ g_i.

    `(n_samples,)`, 0 or more. λ is 0.1 times the mean eigenvalue. Above 2,048 head parameters the inverse is that of
    the leading eigenpairs plus a multiple of the identity. Koh and Liang 2017, arXiv 1703.04730.
    """
    head = head_gradients(sketch)
    if np.prod(head.shape) > EXACT_PARAMETERS:
        damping = DAMPING * mean_curvature(sketch)
        return _filtered_norms(head, head_spectrum(sketch, seed=seed), lambda values: 1 / (values + damping))
    return _inverse_norms(head, damped(head_hessian(sketch, seed=seed)))


def hessian(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with the exact damped Hessian of the head: -v̄ᵀ (H + λI)⁻¹ g_i.

    `(n_samples,)`, any sign; solved by conjugate gradients on Hessian products. Koh and Liang 2017, arXiv 1703.04730.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    head, direction = head_gradients(sketch), mean_gradient(sketch, validation)
    rows = curvature_rows(sketch, seed)
    _, features = head.block(rows)
    probabilities, damping = sketch.probabilities[rows], DAMPING * mean_curvature(sketch)

    def product(vector: Floats) -> Floats:
        matrix = vector.reshape(head.shape)
        return (hessian_product(probabilities, features, matrix.astype(np.float32)) + damping * matrix).ravel()

    operator = LinearOperator((direction.size, direction.size), matvec=product, dtype=np.float32)
    solution, _ = cg(operator, direction.ravel(), rtol=1e-6, maxiter=500)
    return -head.dot(solution.reshape(head.shape).astype(np.float32))


def lissa(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss, the inverse Hessian product by the stochastic LiSSA recursion.

    r ← v̄ + (I - (Ĥ + λI) / s) r over random batches of the head's Hessian, s above its largest eigenvalue; the mean of
    four runs, scored as -r · g_i / s, `(n_samples,)`. Agarwal et al. 2016, arXiv 1602.03943; Koh and Liang 2017.
    """
    head, direction = head_gradients(sketch), mean_gradient(sketch, validation)
    damping, scale = DAMPING * mean_curvature(sketch), _largest_curvature(sketch, seed)
    rng = np.random.default_rng(seed)
    size = min(LISSA_BATCH, max(32, int(LISSA_ENTRIES / direction.size)))
    everything, total = np.arange(len(sketch)), np.zeros(head.shape, dtype=np.float32)
    for _ in range(LISSA_REPEATS):
        estimate = direction
        for _ in range(LISSA_STEPS):
            rows = rng.integers(len(sketch), size=size) if len(sketch) > size else everything
            _, features = head.block(rows)
            change = hessian_product(sketch.probabilities[rows], features, estimate) + damping * estimate
            estimate = direction + estimate - change / scale
        total += estimate / (LISSA_REPEATS * scale)
    return -head.dot(total)


def self_lissa(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with LiSSA's truncated series in expectation: g_iᵀ Σ_{j<J} (I - (H + λI) / s)ʲ g_i / s.

    `(n_samples,)`; the series acts on the leading eigenpairs of the head's Hessian, and as on zero curvature elsewhere.
    Agarwal et al. 2016, arXiv 1602.03943.
    """
    damping, scale = DAMPING * mean_curvature(sketch), _largest_curvature(sketch, seed)

    def series(values: Floats) -> Floats:
        curvature = values + damping
        result: Floats = (1 - (1 - curvature / scale) ** LISSA_STEPS) / curvature
        return result

    return _filtered_norms(head_gradients(sketch), head_spectrum(sketch, seed=seed), series)


def _largest_curvature(sketch: GradientSketch, seed: int) -> float:
    """A scale that keeps the recursion stable for every batch: a safe multiple of the largest eigenvalue."""
    return 4 * float(head_spectrum(sketch, seed=seed).values.max()) + DAMPING * mean_curvature(sketch)


def self_datainf(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence by DataInf: (‖g_i‖² - mean_j (g_j·g_i)² / (λ + ‖g_j‖²)) / λ, `(n_samples,)`.

    The inverse of the mean is swapped for the mean of inverses; λ = 0.1 · mean ‖g‖² / n_parameters; j runs over at most
    2,048 random samples. Kwon et al. 2024, arXiv 2310.00902.
    """
    grads = gradients(sketch)
    norms = grads.squared_norms()
    damping = _datainf_damping(grads, norms)
    rows = np.random.default_rng(seed).permutation(len(sketch))[:DATAINF_SAMPLES]
    left, right = grads.block(rows)
    weights = 1 / (damping + norms[rows]) / len(rows)
    result = np.empty(len(sketch), dtype=np.float32)
    for block, own_left, own_right in grads.blocks():
        products = (own_left @ left.T) * (own_right @ right.T)
        result[block] = norms[block] - products**2 @ weights
    return result / damping


def datainf(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss by DataInf: -(v̄·g_i - mean_j (v̄·g_j)(g_j·g_i) / (λ + ‖g_j‖²)) / λ.

    `(n_samples,)`, on the head's gradients, or the sketch where there is no head. Kwon et al. 2024, arXiv 2310.00902.
    """
    grads, direction = gradients(sketch), mean_gradient(sketch, validation)
    norms = grads.squared_norms()
    damping = _datainf_damping(grads, norms)
    return -grads.dot(direction - grads.mean(grads.dot(direction) / (damping + norms))) / damping


def _datainf_damping(grads: Gradients, norms: Floats) -> float:
    return max(DAMPING * float(norms.mean()) / int(np.prod(grads.shape)), 1e-12)


def self_arnoldi(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence in the 64 leading eigenvectors u of the head's Hessian: Σ_k (u_k·g_i)² / μ_k, `(n_samples,)`.

    Schioppa et al. 2022, arXiv 2112.03052.
    """
    spectrum, damping = head_spectrum(sketch, seed=seed), DAMPING * mean_curvature(sketch)
    return _projected(head_gradients(sketch), spectrum) ** 2 @ (1 / (spectrum.values + damping))


def arnoldi(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss in the leading eigenvectors: -Σ_k (u_k·v̄)(u_k·g_i) / μ_k, `(n_samples,)`.

    Schioppa et al. 2022, arXiv 2112.03052.
    """
    spectrum, damping = head_spectrum(sketch, seed=seed), DAMPING * mean_curvature(sketch)
    weights = np.einsum("klr,lr->k", spectrum.vectors, mean_gradient(sketch, validation)) / (spectrum.values + damping)
    return -head_gradients(sketch).dot(np.einsum("k,klr->lr", weights, spectrum.vectors))


def _projected(grads: Gradients, spectrum: Spectrum) -> Floats:
    """Inner products with the eigenvectors, `(n_samples, rank)`."""
    result = np.empty((len(grads), len(spectrum.values)), dtype=np.float32)
    for rows, left, right in grads.blocks():
        for k, vector in enumerate(spectrum.vectors):
            result[rows, k] = np.einsum("il,il->i", left, right @ vector.T)
    return result


def _filtered_norms(grads: Gradients, spectrum: Spectrum, function: Callable[[Floats], Floats]) -> Floats:
    """Return g_iᵀ f(H) g_i, with f(H) exact on the leading eigenpairs and f(0) I on the rest."""
    rest = float(function(np.zeros(1))[0])
    return _projected(grads, spectrum) ** 2 @ (function(spectrum.values) - rest) + rest * grads.squared_norms()


def _inverse_norms(grads: Gradients, matrix: Floats) -> Floats:
    """Return g_iᵀ matrix⁻¹ g_i through a Cholesky factor, gradients formed a block at a time."""
    from scipy.linalg import cholesky, solve_triangular

    factor = cholesky(matrix, lower=True, check_finite=False)
    result = np.empty(len(grads), dtype=np.float32)
    for rows, left, right in grads.blocks():
        block = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
        solved = solve_triangular(factor, block.T, lower=True, overwrite_b=True, check_finite=False)
        result[rows] = np.einsum("pi,pi->i", solved, solved)
    return result


def self_ekfac(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the eigenvalue-corrected Kronecker factors of the head: Σ_{c,j} (δ̃_ic h̃_ij)² / (Λ_cj + λ).

    δ̃ and h̃ in the eigenbases of E[diag(p) - ppᵀ] and E[hhᵀ], Λ the exact curvature along each pair; any number of
    classes and features. Grosse et al. 2023, arXiv 2308.03296.
    """
    head = head_gradients(sketch)
    classes, width, curvature = _kronecker_basis(sketch, seed)
    inverse = 1 / (curvature + DAMPING * mean_curvature(sketch))
    result = np.empty(len(sketch), dtype=np.float32)
    for rows, left, right in head.blocks():
        result[rows] = np.einsum("ic,ic->i", (left @ classes) ** 2, (right @ width) ** 2 @ inverse.T)
    return result


def ekfac(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with EK-FAC's inverse of the head's Hessian: -v̄ᵀ (H_EK + λI)⁻¹ g_i.

    `(n_samples,)`. Grosse et al. 2023, arXiv 2308.03296.
    """
    classes, width, curvature = _kronecker_basis(sketch, seed)
    rotated = classes.T @ mean_gradient(sketch, validation) @ width
    solution = classes @ (rotated / (curvature + DAMPING * mean_curvature(sketch))) @ width.T
    return -head_gradients(sketch).dot(solution)


def _kronecker_basis(sketch: GradientSketch, seed: int) -> tuple[Floats, Floats, Floats]:
    """Eigenbases of classes and features and the curvature Λ `(n_classes, n_features + 1)` along their pairs."""
    rows = curvature_rows(sketch, seed)
    _, features = head_gradients(sketch).block(rows)
    probabilities = sketch.probabilities[rows]
    of_classes = np.diag(probabilities.mean(axis=0)) - probabilities.T @ probabilities / len(rows)
    _, classes = np.linalg.eigh(of_classes)
    _, width = np.linalg.eigh(features.T @ features / len(rows))
    spread = probabilities @ classes**2 - (probabilities @ classes) ** 2
    return classes, width, spread.T @ (features @ width) ** 2 / len(rows)


def self_trak(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence by TRAK: φ_iᵀ (ΦᵀΦ)⁻¹ φ_i · (1 - p_i), with φ the sketched gradient of log(p / (1 - p)).

    `(n_samples,)`; φ_i = -sketch_i / (1 - p_i), p the given label's probability. Park et al. 2023, arXiv 2303.14186.
    """
    features, errors = _margin_sketch(sketch)
    return _inverse_norms(features, damped(_second_moment(features), 1e-2)) * errors


def trak(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation margins by TRAK: -φ̄ᵀ (ΦᵀΦ)⁻¹ φ_i · (1 - p_i), `(n_samples,)`.

    φ is the sketched gradient of log(p / (1 - p)), φ̄ its mean over the validation samples. Park et al. 2023,
    arXiv 2303.14186.
    """
    features, errors = _margin_sketch(sketch)
    mean_gradient(sketch, validation)
    direction = _margin_sketch(validation)[0].mean()
    solution = np.linalg.solve(damped(_second_moment(features), 1e-2), direction[0])
    return -features.dot(solution[None]) * errors


def _margin_sketch(sketch: GradientSketch) -> tuple[Gradients, Floats]:
    """Sketched gradients of log(p / (1 - p)) and the errors 1 - p of the given label."""
    errors = np.maximum(-np.expm1(-np.asarray(sketch.losses, dtype=np.float32)), SMALLEST_ERROR)
    return Gradients((-1 / errors)[:, None], sketch.sketch), errors


def self_logra(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence with the damped Fisher matrix in sketch space: s_iᵀ (SᵀS / n + λI)⁻¹ s_i, `(n_samples,)`.

    Leverage of the sketched gradient of all selected parameters. Choe et al. 2024 (LoGra), arXiv 2405.13954.
    """
    grads = sketch_gradients(sketch)
    return _inverse_norms(grads, damped(_second_moment(grads)))


def logra(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss with the damped Fisher matrix in sketch space: -s̄ᵀ (SᵀS / n + λI)⁻¹ s_i.

    `(n_samples,)`. Choe et al. 2024 (LoGra), arXiv 2405.13954.
    """
    grads = sketch_gradients(sketch)
    direction = _sketch_direction(grads, validation)
    return -grads.dot(np.linalg.solve(damped(_second_moment(grads)), direction[0])[None])


def _sketch_direction(grads: Gradients, validation: GradientSketch) -> Floats:
    return checked(grads, sketch_gradients(validation)).mean()


def _second_moment(grads: Gradients) -> Floats:
    """Σ_i g_i g_iᵀ / n_samples of sketched gradients, `(sketch_dim, sketch_dim)`."""
    total = np.zeros((grads.shape[1],) * 2, dtype=np.float64)
    for _, left, right in grads.blocks():
        scaled = left * right
        total += scaled.T @ scaled
    moment: Floats = (total / len(grads)).astype(np.float32)
    return moment


def self_generalized(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Self-influence through a share of the head's parameters J: g_iJᵀ (H_JᵀH_J + λI)⁻¹ H_Jᵀ g_i, `(n_samples,)`.

    J is the tenth with the largest mean squared gradient, fewer for very large heads, and H_J the Hessian's columns of
    J: the change of these alone that best answers the whole gradient, the others held fixed. Lyu et al. 2024,
    arXiv 2312.05586.
    """
    head = head_gradients(sketch)
    columns, response = _target_response(sketch, seed)
    classes, width = np.unravel_index(columns, head.shape)
    maps = response.reshape(len(columns), *head.shape)
    flat = maps.transpose(2, 1, 0).reshape(head.shape[1], -1)
    result = np.empty(len(head), dtype=np.float32)
    for rows, left, right in head.blocks():
        change = np.einsum("il,ilj->ij", left, (right @ flat).reshape(len(left), head.shape[0], -1))
        result[rows] = np.einsum("ij,ij,ij->i", left[:, classes], right[:, width], change)
    return result


def generalized(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the validation loss through a share of the head's parameters J: -v̄_Jᵀ (H_JᵀH_J + λI)⁻¹ H_Jᵀ g_i.

    `(n_samples,)`; J as in `self_generalized`. Lyu et al. 2024, arXiv 2312.05586.
    """
    columns, response = _target_response(sketch, seed)
    direction = mean_gradient(sketch, validation)
    return -head_gradients(sketch).dot((direction.ravel()[columns] @ response).reshape(direction.shape))


def _target_response(sketch: GradientSketch, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Selected parameters J and the map (H_JᵀH_J + λI)⁻¹ H_Jᵀ, `(n_targets, n_parameters)`, from gradient to change."""
    head = head_gradients(sketch)
    squared = np.sum([(left**2).T @ right**2 for _, left, right in head.blocks()], axis=0)
    rows = np.random.default_rng(seed).permutation(len(sketch))[:TARGET_SAMPLES]
    affordable = int(TARGET_PRODUCTS / (len(rows) * squared.size))
    n_targets = max(1, min(int(TARGET_SHARE * squared.size), affordable))
    columns = np.sort(np.argsort(-squared.ravel(), kind="stable")[:n_targets]).astype(np.int64)
    selected = hessian_columns(sketch, columns, rows).astype(np.float64)
    inner = damped(selected @ selected.T, DAMPING**2)
    return columns, np.linalg.solve(inner, selected).astype(np.float32)
