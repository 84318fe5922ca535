"""The inverse curvature of a few whole layers: EK-FAC from per-sample gradients, made exact by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from oga_core.numerics import Floats
from oga_core.scores.estimators.curvature import DAMPING, FLAT

LONGEST_SIDE = 2048
"""A longer side of a layer keeps its own axes: its eigenbasis would take minutes."""
STEPS = 30
TOLERANCE = 1e-3
"""Of the conjugate gradients: with EK-FAC before them, most layers are within a thousandth after a dozen steps."""


@dataclass(frozen=True)
class _Layer:
    """Gradients `(n_samples, rows, columns)` of one layer in the eigenbases of both of its sides."""

    rows: Floats
    left: Floats
    right: Floats
    curvature: Floats
    damping: float

    @classmethod
    def of(cls, gradients: Floats) -> _Layer:
        left = _eigenbasis(np.einsum("nij,nkj->ik", gradients, gradients, optimize=True))
        right = _eigenbasis(np.einsum("nij,nik->jk", gradients, gradients, optimize=True))
        curvature = np.square(left.T @ gradients @ right).mean(axis=0)
        damping = max(DAMPING * float(curvature.mean()), FLAT)
        return cls(gradients.reshape(len(gradients), -1), left, right, curvature, damping)

    def approximate(self, direction: Floats) -> Floats:
        """EK-FAC's inverse times the direction, flat."""
        matrix = direction.reshape(self.curvature.shape)
        solved = (self.left.T @ matrix @ self.right) / (self.curvature + self.damping)
        return (self.left @ solved @ self.right.T).ravel()

    def solve(self, direction: Floats) -> Floats:
        """(F + λI)⁻¹ times the direction, flat."""
        from scipy.sparse.linalg import LinearOperator, cg

        def product(vector: Floats) -> Floats:
            return (self.rows @ vector) @ self.rows / len(self.rows) + self.damping * vector

        length = float(np.linalg.norm(direction))
        if length == 0:
            return direction
        size = (direction.size, direction.size)
        operator = LinearOperator(size, matvec=product, dtype=np.float32)
        inverse = LinearOperator(size, matvec=self.approximate, dtype=np.float32)
        solution, _ = cg(operator, direction / length, rtol=TOLERANCE, maxiter=STEPS, M=inverse)
        return np.asarray(solution * length, dtype=np.float32)


def ekfac_inverse(
    rows: Floats, shapes: Sequence[tuple[int, ...]], *, refine: bool = True
) -> Callable[[Floats], Floats]:
    """The map from a direction `(1, n_parameters)` to (F + λI)⁻¹ times it, layer by layer. Grosse et al. 2023, arXiv
    2308.03296.

    rows: gradients `(n_samples, n_parameters)`, one layer of `shapes` after the other. F: their second moment within
    each layer, λ a tenth of its mean eigenvalue there. EK-FAC takes F as diagonal in the eigenbases of E[GGᵀ] and
    E[GᵀG]; refine: correct what this leaves by conjugate gradients, with EK-FAC as their preconditioner.
    """
    layers = [_Layer.of(part.reshape(len(part), shape[0], -1)) for part, shape in _parts(rows, shapes)]

    def solve(direction: Floats) -> Floats:
        pairs = zip(layers, _parts(direction, shapes), strict=True)
        solved = [(layer.solve if refine else layer.approximate)(part[0]) for layer, (part, _) in pairs]
        return np.concatenate(solved)[None].astype(np.float32)

    return solve


def _parts(rows: Floats, shapes: Sequence[tuple[int, ...]]) -> list[tuple[Floats, tuple[int, ...]]]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return list(zip(np.split(rows, ends[:-1], axis=1), shapes, strict=True))


def _eigenbasis(matrix: Floats) -> Floats:
    if len(matrix) > LONGEST_SIDE:
        return np.eye(len(matrix), dtype=np.float32)
    return np.linalg.eigh(matrix)[1].astype(np.float32)
