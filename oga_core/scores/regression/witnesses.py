"""What fits that leave a number out expect it to be, and how far off they usually are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Floats, Values, principal_axes
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.discriminant import fourier_features, standardised
from oga_core.scores.regression.ridge import robust_ridge, weighted_ridge
from oga_core.scores.tables.boosting import boosted_values

MEMORISED = 1 / 3
"""A model whose median error is below this share of that of a fit which leaves each number out has learnt them."""
NEIGHBOURS, WINDOW = 30, 51
"""Samples alike, and samples with about the same prediction, by whose errors an error is judged."""
PRIOR = 15
"""The median of all errors counts as much as this many neighbours, so that a few lucky ones make no error large."""
WIDEST, NEAR_AXES = 256, 12
"""Principal axes of what a fit reads, and of those by which neighbours are told: in more all samples are far apart."""
FEWEST_ROWS = 200
"""Trees of fewer rows have next to nothing to split."""
WORST = 0.25
"""Share of the samples that the fits behind a suggestion leave out: more than are ever wrong."""


@dataclass(frozen=True, eq=False)
class Witness:
    """One fit's leave-one-out residuals y - ŷ, what is usual there, and what it expects without the worst samples.

    Each `(n_samples,)`, in the units of the numbers; usual is above 0.
    """

    residuals: Values
    usual: Values
    expected: Values


def unusual_value(sketch: GradientSketch) -> Values:
    """Mean over fits that leave the number out of log(1 + |e| / s), `(n_samples,)`, 0 or more.

    e: the residual of a robust ridge regression, or of trees; s: the usual size of residuals among the nearest samples
    and among those with about the same prediction. The regressions read the last layer (not where the model has
    memorised its numbers), random Fourier features of the inputs, and these beside the inputs themselves; the trees
    read the rows of a table.
    """
    scores = [np.log1p(np.abs(witness.residuals) / witness.usual) for witness in witnesses(sketch)]
    return np.asarray(np.mean(scores, axis=0), dtype=np.float64)


def unusual_loss(sketch: GradientSketch) -> Values:
    """How much larger each loss is than a robust ridge regression on the features expects that leaves it out.

    `(n_samples,)`, in units of the loss: hard samples, whose like have large losses too, come after wrong ones. Raises
    `OgaError` where the model has no last linear layer.
    """
    if sketch.features is None:
        raise OgaError("The score 'oga' needs the inputs of a last linear layer. Choose isolation_forest_sketch.")
    return robust_ridge(standardised(_narrow(sketch.features)), np.asarray(sketch.losses, dtype=np.float64)).residuals


@once_per_sketch
def witnesses(sketch: GradientSketch) -> tuple[Witness, ...]:
    """The fits on what the model makes of its inputs, twice on the inputs, and on the rows of a table.

    A memorised model's layers have learnt the wrong numbers too: the inputs alone speak, or, where they are none that a
    fit reads, the middle layers.
    """
    fits = [_witness(x, numbers_of(sketch)) for x in _representations(sketch)]
    return (*fits, *_trees(sketch))


@once_per_sketch
def has_memorised(sketch: GradientSketch) -> bool:
    """Whether the model gives its numbers back far better than a fit on its inputs that leaves each out."""
    early = _early(sketch)
    if early is None or sketch.outputs is None:
        return False
    residuals = robust_ridge(standardised(early), numbers_of(sketch)).residuals
    errors = np.abs(model_residuals(sketch))
    return bool(np.median(errors) < MEMORISED * np.median(np.abs(residuals)))


def numbers_of(sketch: GradientSketch) -> Values:
    """The numbers that the model was trained to predict, `(n_samples,)`."""
    assert sketch.targets is not None, "the registry asks for targets"
    return np.asarray(sketch.targets, dtype=np.float64)


def model_residuals(sketch: GradientSketch) -> Values:
    """The model's own residuals y - ŷ, `(n_samples,)`."""
    assert sketch.outputs is not None, "the registry asks for outputs"
    residuals: Values = numbers_of(sketch) - np.asarray(sketch.outputs, dtype=np.float64)[:, 0]
    return residuals


def _representations(sketch: GradientSketch) -> Iterator[Array]:
    """What the fits read, one after the other: views of the samples that err in different ways."""
    early = _early(sketch)
    layer = sketch.middle_features if has_memorised(sketch) else sketch.features
    raw = sketch.inputs if sketch.inputs is not None else early
    layer = layer if layer is not None else early
    learnt = has_memorised(sketch) and sketch.inputs is not None  # wrong numbers, in every layer to some degree
    if layer is not None and not learnt:
        yield standardised(_narrow(layer))
    if raw is not None:
        raw = _narrow(raw)
        yield fourier_features(raw)  # what bends
        yield np.concatenate([standardised(raw), fourier_features(raw)], axis=1)  # lines, and what bends away from them


def _early(sketch: GradientSketch) -> Array | None:
    """What the model's first layers see, as far as it is known."""
    for part in (sketch.inputs, sketch.middle_features, sketch.features):
        if part is not None:
            return np.asarray(part)
    return None


def _narrow(features: Array) -> Array:
    """The features, or their leading principal axes where they are many, `(n_samples, ≤ 256)`."""
    features = np.asarray(features, dtype=np.float32)
    return features if features.shape[1] <= WIDEST else principal_axes(features, WIDEST).project(features)


def _trees(sketch: GradientSketch) -> list[Witness]:
    """Trees on the rows of a table, out of fold: they see steps and what columns do together."""
    if sketch.inputs is None or len(sketch) < FEWEST_ROWS:
        return []
    y = numbers_of(sketch)
    expected = boosted_values(np.asarray(sketch.inputs), y, canonical_order(sketch))
    residuals = y - expected
    return [Witness(residuals, _usual(residuals, standardised(_narrow(sketch.inputs)), y), expected)]


def _usual(residuals: Values, x: Floats, y: Values) -> Values:
    """The usual size of residuals among samples alike, and among those with about the same prediction."""
    sizes = np.abs(residuals)
    return np.sqrt(_near(sizes, x) * _of_like_predictions(sizes, y - residuals))


def _witness(x: Array, y: Values) -> Witness:
    fit = robust_ridge(x, y)
    usual = _usual(fit.residuals, x, y)
    scaled = np.abs(fit.residuals) / usual
    kept = (scaled <= np.quantile(scaled, 1 - WORST)).astype(np.float64)
    return Witness(fit.residuals, usual, y - weighted_ridge(x, y, kept).residuals)


def _near(sizes: Values, x: Floats) -> Values:
    """Median of the errors of the nearest other samples, drawn to the median of all."""
    from sklearn.neighbors import NearestNeighbors

    axes = principal_axes(x, NEAR_AXES).project(x)
    count = min(NEIGHBOURS + 1, len(x))
    near = NearestNeighbors(n_neighbors=count).fit(axes).kneighbors(axes, return_distance=False)
    return _shrunk(np.median(sizes[near[:, 1:]], axis=1) if count > 1 else sizes, sizes, NEIGHBOURS)


def _of_like_predictions(sizes: Values, predicted: Values) -> Values:
    """Median of the errors of samples with about the same prediction, drawn to the median of all."""
    from scipy.ndimage import median_filter

    order = np.lexsort((sizes, predicted))
    medians = np.empty_like(sizes)
    medians[order] = median_filter(sizes[order], size=WINDOW, mode="nearest")
    return _shrunk(medians, sizes, WINDOW)


def _shrunk(medians: Values, sizes: Values, count: int) -> Values:
    overall = max(float(np.median(sizes)), 1e-12)
    return (count * medians + PRIOR * overall) / (count + PRIOR)
