"""Leading eigenpairs of the head's Hessian, and norms of gradients under functions of it and inverses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, room
from oga_core.scores.common import once_per_sketch
from oga_core.scores.estimators.curvature import (
    CURVATURE_ENTRIES,
    DAMPING,
    FLAT,
    Gradients,
    curvature_rows,
    head_gradients,
    head_hessian,
    hessian_product,
    mean_curvature,
)

ARNOLDI_RANK = 64


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Leading eigenpairs of the head's Hessian: values `(rank,)`, vectors `(rank, n_classes, n_features + 1)`."""

    values: Floats
    vectors: Floats


@once_per_sketch
def head_spectrum(sketch: GradientSketch, *, seed: int = 0) -> Spectrum:
    """Leading eigenpairs by Lanczos iteration (Arnoldi's for a symmetric matrix) on Hessian products.

    One pair of zeros where the model is sure of every sample, so that there is no curvature to iterate on.
    """
    return _lanczos(sketch, seed)


def _lanczos(sketch: GradientSketch, seed: int) -> Spectrum:
    head = head_gradients(sketch)
    scale = mean_curvature(sketch)
    size = int(np.prod(head.shape))
    rank = min(ARNOLDI_RANK, size, max(8, int(CURVATURE_ENTRIES / 16 / size)))
    if size <= 4 * ARNOLDI_RANK:
        values, vectors = np.linalg.eigh(head_hessian(sketch, seed=seed))
        return _spectrum(values[-rank:], vectors[:, -rank:], head.shape)
    rows = curvature_rows(sketch, seed)
    _, features = head.block(rows)
    probabilities = sketch.probabilities[rows]

    def product(vector: Floats) -> Floats:
        matrix = vector.reshape(head.shape).astype(np.float32)
        return hessian_product(probabilities, features, matrix).ravel() / np.float32(scale)

    values, vectors = _leading(product, size, rank, seed) if scale > FLAT else (np.zeros(1), np.zeros((size, 1)))
    return _spectrum(values * scale, vectors, head.shape)


def _leading(product: Callable[[Floats], Floats], size: int, rank: int, seed: int) -> tuple[Floats, Floats]:
    """The pairs that converged, values `(≤ rank,)` and vectors `(size, ≤ rank)`; one pair of zeros if none did."""
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

    operator = LinearOperator((size, size), matvec=product, dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    values = np.zeros(0)
    vectors = np.zeros((size, 0))
    try:
        values, vectors = eigsh(operator, k=rank, v0=start, tol=1e-3, ncv=2 * rank)
    except ArpackNoConvergence as stopped:
        values = stopped.eigenvalues
        vectors = stopped.eigenvectors
    except ArpackError:  # the product with every vector is 0: none of the drawn samples curves the loss
        pass
    return (values, vectors) if len(values) else (np.zeros(1), np.zeros((size, 1)))


def _spectrum(values: Floats, vectors: Floats, shape: tuple[int, int]) -> Spectrum:
    columns = np.ascontiguousarray(vectors.T, dtype=np.float32)
    return Spectrum(np.maximum(values, 0).astype(np.float32), columns.reshape(-1, *shape))


def largest_curvature(sketch: GradientSketch, seed: int) -> float:
    """A scale that keeps the series of every batch stable: a safe multiple of the largest eigenvalue."""
    return 4 * float(head_spectrum(sketch, seed=seed).values.max()) + DAMPING * mean_curvature(sketch)


def weighted_squares(grads: Gradients, spectrum: Spectrum, weights: Floats) -> Floats:
    """Squared inner products with the eigenvectors, summed with the weights `(rank,)`, `(n_samples,)`."""
    result: Floats = room(len(grads))
    for rows, left, right in grads.blocks():
        products = np.empty((len(left), len(spectrum.values)), dtype=np.float32)
        for k, vector in enumerate(spectrum.vectors):
            products[:, k] = np.einsum("il,il->i", left, right @ vector.T)
        result[rows] = products**2 @ weights
    return result


def filtered_norms(grads: Gradients, spectrum: Spectrum, function: Callable[[Floats], Floats]) -> Floats:
    """Return g_iᵀ f(H) g_i, with f(H) exact on the leading eigenpairs and f(0) I on the rest."""
    rest = float(function(np.zeros(1))[0])
    norms = grads.squared_norms()
    norms *= rest
    norms += weighted_squares(grads, spectrum, function(spectrum.values) - rest)
    return norms


def inverse_norms(grads: Gradients, matrix: Floats) -> Floats:
    """Return g_iᵀ matrix⁻¹ g_i through a Cholesky factor, gradients formed a block at a time."""
    from scipy.linalg import solve_triangular

    factor = _cholesky(matrix).astype(np.float32)
    result = np.empty(len(grads), dtype=np.float32)
    for rows, left, right in grads.blocks():
        block = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
        solved = solve_triangular(factor, block.T, lower=True, overwrite_b=True, check_finite=False)
        result[rows] = np.einsum("pi,pi->i", solved, solved)
    return result


def _cholesky(matrix: Floats) -> Floats:
    """Lower factor, in float64; where rounding has left an eigenvalue below 0, of matrix + as little I as it takes."""
    from scipy.linalg import LinAlgError, cholesky

    exact = matrix.astype(np.float64)
    ridge = 1e-7 * max(float(np.abs(np.diagonal(exact)).max()), 1e-30)
    while True:
        try:
            factor: Floats = cholesky(exact, lower=True)
        except LinAlgError:
            exact[np.diag_indices(len(exact))] += ridge
            ridge *= 10
        else:
            return factor
