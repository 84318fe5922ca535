"""What several scores share: order, small statistics, and work that is done once per sketch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from oga_core.numerics import Array, Floats, Indices, Values, filled, principal_axes, room, slices

if TYPE_CHECKING:
    from oga_core.gradient_sketch import GradientSketch

Result = TypeVar("Result")

FLAT_AXIS = 1e-6
"""An axis with less than this share of the largest variance holds rounding only."""


def once_per_sketch(function: Callable[..., Result]) -> Callable[..., Result]:
    """Keep the result of `function(sketch, **options)` for as long as the sketch lives."""
    results: WeakKeyDictionary[GradientSketch, dict[tuple[tuple[str, Any], ...], Result]] = WeakKeyDictionary()

    @wraps(function)
    def remembered(sketch: GradientSketch, **options: Any) -> Result:
        own = results.setdefault(sketch, {})
        key = tuple(sorted(options.items()))
        if key not in own:
            own[key] = function(sketch, **options)
        return own[key]

    return remembered


@once_per_sketch
def canonical_order(sketch: GradientSketch) -> Indices:
    """Positions of the samples in an order that does not depend on the order of the data, `(n_samples,)`.

    By loss, given label and then a fixed projection of logits and features (of the sketch where there are none), since
    a sure model gives many samples the same loss. Whatever is drawn at random is drawn along it, so that shuffling the
    data leaves a score as it was.
    """
    order: Indices = np.lexsort((_fingerprints(sketch), sketch.given_labels, sketch.losses))
    return order


def _fingerprints(sketch: GradientSketch) -> Values:
    """One number a sample, equal only where the arrays are, `(n_samples,)`."""
    arrays = [array for array in (sketch.logits, sketch.features) if array is not None] or [sketch.sketch]
    total: Values = room(len(sketch), np.float64)
    total[:] = 0
    generator = np.random.default_rng(0)
    for array in arrays:
        weights = generator.standard_normal(array.shape[1])
        for rows in slices(len(array)):
            with np.errstate(invalid="ignore"):
                total[rows] += array[rows].astype(np.float64) @ weights
    return total


def drawn(sketch: GradientSketch, count: int, seed: int) -> Indices:
    """At most `count` random positions, the same samples in whatever order the data come, `(≤ count,)`."""
    if len(sketch) <= count:
        return canonical_order(sketch)
    return canonical_order(sketch)[np.random.default_rng(seed).choice(len(sketch), count, replace=False)]


def ranks(values: Floats) -> Values:
    """Average ranks scaled to the open interval (0, 1), `(n_samples,)`."""
    from scipy.stats import rankdata

    scaled: Values = (rankdata(values) - 0.5) / len(values)
    return scaled


@once_per_sketch
def whitened_axes(sketch: GradientSketch, *, count: int) -> Array:
    """The sketch on its leading principal axes, centred and scaled to unit variance, `(n_samples, ≤ count)`."""
    rows = np.asarray(sketch.sketch, dtype=np.float32)
    leading = principal_axes(rows, count)
    largest = max(float(leading.variances[0]), 1e-30)
    n_axes = max(1, int((leading.variances > FLAT_AXIS * largest).sum()))
    scales = np.sqrt(np.maximum(leading.variances[:n_axes], 1e-30))
    return filled(room((len(rows), n_axes)), lambda part: leading.project(rows[part])[:, :n_axes] / scales)
