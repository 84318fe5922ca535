"""Per-sample gradients as outer products, and the curvature of the head, never forming samples × parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices, Rows, room
from oga_core.scores.common import drawn
from oga_core.scores.feature_rows import TakenRows

BLOCK = 2048
EXACT_PARAMETERS = 2048
CURVATURE_SAMPLES = 16_384
CURVATURE_ENTRIES = 4e8
DAMPING = 0.1
FLAT = 1e-12
"""A mean curvature no larger than this is none: the model is sure of every sample."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients g_i = left_i ⊗ right_i, `(n_samples, n_left · n_right)`, read in blocks of rows.

    The head's gradient has left = p - y, `(n_samples, n_classes)`, and right = features with a 1 for the bias; a
    sketch has left = 1 and right = the sketch. A direction in parameter space is a matrix `(n_left, n_right)`.
    """

    left: Rows
    right: Rows
    bias: bool = False

    def __len__(self) -> int:
        return len(self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one gradient, `(n_left, n_right)`."""
        return self.left.shape[1], self.right.shape[1] + self.bias

    def block(self, rows: slice | Indices) -> tuple[Floats, Floats]:
        """Return left and right of some rows, the bias column appended."""
        left = np.asarray(self.left[rows])
        right = np.asarray(self.right[rows], dtype=np.float32)
        return left, np.pad(right, ((0, 0), (0, 1)), constant_values=1) if self.bias else right

    def blocks(self) -> Iterator[tuple[slice, Floats, Floats]]:
        """Yield slices of rows with their left and right factors."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, *self.block(rows)

    def dot(self, direction: Floats) -> Floats:
        """Return ⟨g_i, direction⟩, `(n_samples,)`."""
        result: Floats = room(len(self))
        for rows, left, right in self.blocks():
            result[rows] = np.einsum("il,il->i", left, right @ direction.T)
        return result

    def mean(self, weights: Floats | None = None) -> Floats:
        """Return Σ_i w_i g_i / n_samples, `(n_left, n_right)`, with w = 1 by default."""
        total = np.zeros(self.shape, dtype=np.float64)
        for rows, left, right in self.blocks():
            total += (left if weights is None else left * weights[rows, None]).T @ right
        mean: Floats = (total / max(len(self), 1)).astype(np.float32)
        return mean

    def squared_norms(self) -> Floats:
        """Return ‖g_i‖², `(n_samples,)`, in float64 so that features of any size have one."""
        result: Floats = room(len(self), np.float64)
        for rows, left, right in self.blocks():
            result[rows] = _squares(left) * _squares(right)
        return result

    def take(self, rows: Indices) -> Gradients:
        """Return the gradients of some samples, which are read where they are."""
        return Gradients(TakenRows(self.left, rows), TakenRows(self.right, rows), self.bias)


def _squares(rows: Floats) -> Floats:
    squares: Floats = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return squares


def has_head(sketch: GradientSketch) -> bool:
    """Whether the factors of the head's gradient are there."""
    return sketch.logits is not None and sketch.features is not None


def gradients(sketch: GradientSketch) -> Gradients:
    """The head's gradients where its factors are there, else the sketch of the selected parameters."""
    return head_gradients(sketch) if has_head(sketch) else sketch_gradients(sketch)


def head_gradients(sketch: GradientSketch) -> Gradients:
    """The gradients of the last linear layer, weight and bias."""
    assert sketch.features is not None, "this score needs the features and logits of a classifier"
    return Gradients(sketch.delta, sketch.features, bias=True)


def sketch_gradients(sketch: GradientSketch) -> Gradients:
    """The random sketch of the gradient of all selected parameters."""
    return Gradients(np.ones((len(sketch), 1), dtype=np.float32), sketch.sketch)


def mean_gradient(sketch: GradientSketch, validation: GradientSketch) -> Floats:
    """Mean gradient of the validation samples, in the form that `gradients(sketch)` has."""
    form = head_gradients if has_head(sketch) and has_head(validation) else sketch_gradients
    return checked(gradients(sketch), form(validation)).mean()


def checked(training: Gradients, validation: Gradients) -> Gradients:
    """Return `validation`; raises `OgaError` where it is empty or belongs to another model or sketch."""
    if not len(validation):
        raise OgaError("The validation data has no samples. Give at least one per class.")
    if training.shape != validation.shape:
        raise OgaError(
            f"The validation gradients have the shape {validation.shape} and the training gradients {training.shape}. "
            "Score both with the same model, parameters, sketch size and seed."
        )
    return validation


def curvature_rows(sketch: GradientSketch, seed: int) -> Indices:
    """Rows that estimate the mean curvature: all, or a random `CURVATURE_SAMPLES`, fewer for very large heads."""
    n_parameters = int(np.prod(head_gradients(sketch).shape))
    most = min(CURVATURE_SAMPLES, max(256, int(CURVATURE_ENTRIES / n_parameters)))
    return drawn(sketch, most, seed)


def complements(probabilities: Floats) -> Floats:
    """1 - p, for the likeliest class as the sum of the others: where a model is sure, 1 - p rounds to 0."""
    result = 1 - probabilities
    rest = probabilities.copy()
    likeliest = probabilities.argmax(axis=1)[:, None]
    np.put_along_axis(rest, likeliest, 0, axis=1)
    np.put_along_axis(result, likeliest, rest.sum(axis=1, keepdims=True), axis=1)
    return result


def head_hessian(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Hessian of the mean loss in the head's parameters, `(n_classes · (n_features + 1),) * 2`.

    H = mean_i (diag(p_i) - p_i p_iᵀ) ⊗ h_i h_iᵀ, exact for a linear head, over at most `CURVATURE_SAMPLES` samples.
    """
    rows = curvature_rows(sketch, seed)
    _, features = head_gradients(sketch).block(rows)
    probabilities = sketch.probabilities[rows]
    spread = probabilities * complements(probabilities)
    n_classes = probabilities.shape[1]
    width = features.shape[1]
    hessian = np.empty((n_classes, width, n_classes, width), dtype=np.float32)
    for a in range(n_classes):
        weights = -probabilities[:, a, None] * probabilities[:, a:]
        weights[:, 0] = spread[:, a]
        for b in range(a, n_classes):
            block = (features * weights[:, b - a, None]).T @ features / len(rows)
            hessian[a, :, b] = block
            hessian[b, :, a] = block
    return hessian.reshape(n_classes * width, n_classes * width)


def damped(matrix: Floats, damping: float = DAMPING) -> Floats:
    """Return matrix + λI with λ = `damping` times its mean eigenvalue, as DataInf's paper chooses it."""
    result = matrix.copy()
    result[np.diag_indices(len(matrix))] += damping * _mean_eigenvalue(matrix)
    return result


def _mean_eigenvalue(matrix: Floats) -> float:
    return max(float(np.trace(matrix, dtype=np.float64)) / len(matrix), FLAT)


def hessian_product(probabilities: Floats, features: Floats, direction: Floats) -> Floats:
    """H · direction without H, `(n_classes, width)`, averaged over the given samples.

    Each step is taken from that of the likeliest class, or the little a sure model leaves would be lost in rounding.
    """
    step = features @ direction.T
    step -= np.take_along_axis(step, probabilities.argmax(axis=1)[:, None], axis=1)
    change = probabilities * (step - np.einsum("ic,ic->i", probabilities, step)[:, None])
    return change.T @ features / len(features)


def hessian_columns(sketch: GradientSketch, columns: Indices, rows: Indices) -> Floats:
    """Some columns of the head's Hessian over the samples at `rows`, `(n_columns, n_parameters)`."""
    head = head_gradients(sketch)
    _, features = head.block(rows)
    probabilities = sketch.probabilities[rows]
    spread = probabilities * complements(probabilities)
    classes, positions = np.unravel_index(columns, head.shape)
    result = np.empty((len(columns), *head.shape), dtype=np.float32)
    for a in np.unique(classes):
        mask = classes == a
        weights = -probabilities[:, a, None] * probabilities
        weights[:, a] = spread[:, a]
        own = features[:, positions[mask]] / len(rows)
        for b in range(head.shape[0]):
            result[mask, b] = (own * weights[:, b, None]).T @ features
    return result.reshape(len(columns), -1)


def mean_curvature(sketch: GradientSketch) -> float:
    """Mean eigenvalue of the head's Hessian: mean_i (1 - ‖p_i‖²) ‖h_i‖² over the number of parameters."""
    head = head_gradients(sketch)
    curved: Floats = room(len(head), np.float64)
    for rows, _, right in head.blocks():
        p = sketch.probabilities[rows]
        curved[rows] = np.einsum("ic,ic->i", p, complements(p), dtype=np.float64) * _squares(right)
    return max(float(np.mean(curved)) / int(np.prod(head.shape)), FLAT)
