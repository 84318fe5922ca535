"""What several scores share: order, small statistics, and work that is done once per sketch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import Array, GradientSketch

Values = NDArray[np.float64]
Indices = NDArray[np.int64]
Result = TypeVar("Result")

BLOCK = 8192


def once_per_sketch(function: Callable[..., Result]) -> Callable[..., Result]:
    """Keep the result of `function(sketch, **options)` for as long as the sketch lives."""
    kept: WeakKeyDictionary[GradientSketch, dict[tuple[tuple[str, Any], ...], Result]] = WeakKeyDictionary()

    @wraps(function)
    def remembered(sketch: GradientSketch, **options: Any) -> Result:
        results, key = kept.setdefault(sketch, {}), tuple(sorted(options.items()))
        if key not in results:
            results[key] = function(sketch, **options)
        return results[key]

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
    total, generator = np.zeros(len(sketch)), np.random.default_rng(0)
    for array in arrays:
        weights = generator.standard_normal(array.shape[1])
        for start in range(0, len(array), BLOCK):
            with np.errstate(invalid="ignore"):
                total[start : start + BLOCK] += array[start : start + BLOCK].astype(np.float64) @ weights
    return total


def drawn(sketch: GradientSketch, count: int, seed: int) -> Indices:
    """At most `count` random positions, the same samples in whatever order the data come, `(≤ count,)`."""
    if len(sketch) <= count:
        return canonical_order(sketch)
    return canonical_order(sketch)[np.random.default_rng(seed).choice(len(sketch), count, replace=False)]


def ranks(values: NDArray[np.floating[Any]]) -> Values:
    """Average ranks scaled to the open interval (0, 1), `(n_samples,)`."""
    from scipy.stats import rankdata

    scaled: Values = (rankdata(values) - 0.5) / len(values)
    return scaled


@once_per_sketch
def principal_axes(sketch: GradientSketch, *, count: int) -> Array:
    """The sketch on its leading principal axes, centred and scaled to unit variance, `(n_samples, ≤ count)`."""
    rows = np.asarray(sketch.sketch, dtype=np.float32)
    centre = rows.mean(axis=0, dtype=np.float64)
    blocks = (rows[start : start + BLOCK] - centre for start in range(0, len(rows), BLOCK))
    variances, axes = np.linalg.eigh(sum(block.T @ block for block in blocks) / max(len(rows), 1))
    leading = variances[::-1][:count]
    kept = max(1, int((leading > 1e-6 * max(float(leading[0]), 1e-30)).sum()))
    turn = axes[:, ::-1][:, :kept] / np.sqrt(np.maximum(leading[:kept], 1e-30))
    projected: Array = (rows @ turn.astype(np.float32) - (centre @ turn).astype(np.float32)).astype(np.float32)
    return projected
