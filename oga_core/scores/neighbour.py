"""Nearest neighbours: do samples that look alike, or pull the model alike, carry the same label?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, evenly_spaced, room, slices
from oga_core.scores.common import canonical_order
from oga_core.scores.estimators.neighbours import ROWS

NEIGHBOURS = 30
REFERENCES = 4000
"""Neighbours are sought among at most this many samples, so that the cost grows with the data, not its square."""


def feature_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 nearest samples in feature space with another label: mean_j 1[y_j ≠ y_i], by cosine of h. Zhu et
    al. 2022, arXiv 2110.06283; Wilson, IEEE SMC 1972.

    `(n_samples,)`, 0 to 1; features averaged over views where there are any.
    """
    assert sketch.steady_features is not None, "the registry asks for features"
    return _disagreement([sketch.steady_features], sketch)


def gradient_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 samples nearest in gradient, own labels left out, with another label: mean_j 1[y_j ≠ y_i]. The
    vote is that of Zhu et al. 2022, arXiv 2110.06283.

    `(n_samples,)`, 0 to 1. A head gradient (p - y) ⊗ h holds its label, and neighbours by it agree with themselves.
    So two samples are compared under every label c in turn: mean_c ⟨(p - e_c) ⊗ h, (p' - e_c) ⊗ h'⟩, which is (p·p'
    + 1 - 2 / n_classes) (h·h'), as a cosine.
    """
    p = sketch.probabilities
    left: Array = room((len(p), p.shape[1] + 1))
    left[:, :-1] = p
    left[:, -1] = np.sqrt(max(1 - 2 / p.shape[1], 0))
    return _disagreement([left] if sketch.features is None else [left, sketch.features], sketch)


def unit_rows(points: Array) -> Array:
    """Rows scaled to length 1; rows of zeros stay."""
    points = np.asarray(points, dtype=np.float32)
    scaled = points / np.maximum(np.abs(points).max(axis=1, keepdims=True), 1e-30)  # no square overflows
    rows: Array = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    return rows


def _disagreement(sides: Sequence[Array], sketch: GradientSketch) -> Values:
    """Share of other labels among the samples with the largest cosine, or product of cosines where there are more."""
    import torch  # which takes seconds, and the dashboard does not need

    references = evenly_spaced(canonical_order(sketch), REFERENCES)
    labels = sketch.given_labels
    count = min(NEIGHBOURS, max(1, len(references) // 10))
    compared = [torch.from_numpy(unit_rows(side[references])).T for side in sides]
    spaces = [torch.empty(ROWS, len(references)) for _ in sides]  # made anew it would cost as much as filling it
    result: Values = room(len(sketch), np.float64)
    for part in slices(len(sketch), ROWS):
        own = np.arange(*part.indices(len(sketch)))
        products = [
            torch.mm(torch.from_numpy(unit_rows(side[part])), reference, out=space[: len(own)])
            for side, reference, space in zip(sides, compared, spaces, strict=True)
        ]
        similarity = products[0]
        for other in products[1:]:
            similarity *= other
        themselves = np.flatnonzero((references >= own[0]) & (references <= own[-1]))
        similarity[references[themselves] - own[0], themselves] = -torch.inf
        nearest = similarity.topk(count, dim=1, sorted=False).indices.numpy()  # a third of what argpartition takes
        result[own] = (labels[references[nearest]] != labels[own, None]).mean(axis=1)
    return result
