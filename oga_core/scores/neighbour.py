"""Nearest neighbours: do samples that look alike, or pull the model alike, carry the same label?"""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, evenly_spaced, slices
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
    return _disagreement(unit_rows(np.asarray(sketch.steady_features)), None, sketch)


def gradient_neighbours(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the 30 samples nearest in gradient, own labels left out, with another label: mean_j 1[y_j ≠ y_i]. The
    vote is that of Zhu et al. 2022, arXiv 2110.06283.

    `(n_samples,)`, 0 to 1. A head gradient (p - y) ⊗ h holds its label, and neighbours by it agree with themselves.
    So two samples are compared under every label c in turn: mean_c ⟨(p - e_c) ⊗ h, (p' - e_c) ⊗ h'⟩, which is (p·p'
    + 1 - 2 / n_classes) (h·h'), as a cosine.
    """
    p = sketch.probabilities
    label_free = np.full((len(p), 1), np.sqrt(max(1 - 2 / p.shape[1], 0)), dtype=np.float32)
    left = unit_rows(np.concatenate([p, label_free], axis=1))
    return _disagreement(left, None if sketch.features is None else unit_rows(np.asarray(sketch.features)), sketch)


def unit_rows(points: Array) -> Array:
    """Rows scaled to length 1; rows of zeros stay."""
    points = np.asarray(points, dtype=np.float32)
    scaled = points / np.maximum(np.abs(points).max(axis=1, keepdims=True), 1e-30)  # no square overflows
    rows: Array = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    return rows


def _disagreement(left: Array, right: Array | None, sketch: GradientSketch) -> Values:
    """Share of other labels among the samples with the largest products left·left' (and right·right')."""
    import torch  # which takes seconds, and the dashboard does not need

    references = evenly_spaced(canonical_order(sketch), REFERENCES)
    labels = sketch.given_labels
    count = min(NEIGHBOURS, max(1, len(references) // 10))
    sides = [torch.from_numpy(side) for side in (left, right) if side is not None]
    result = np.zeros(len(sketch))
    for part in slices(len(sketch), ROWS):
        rows = np.arange(len(sketch))[part]
        similarity = sides[0][part] @ sides[0][references].T
        for side in sides[1:]:
            similarity *= side[part] @ side[references].T
        similarity[torch.from_numpy(rows[:, None] == references)] = -torch.inf
        nearest = similarity.topk(count, dim=1, sorted=False).indices.numpy()  # a third of what argpartition takes
        result[rows] = (labels[references[nearest]] != labels[rows, None]).mean(axis=1)
    return result
