"""How much larger the losses of an image's regions are than those of other regions like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, Values, slices
from oga_core.scores.common import once_per_sketch

WINDOW = 5 / 32
"""Side of a window over which losses are averaged, as a share of the image's: one pixel off is noise, an object is not.
"""
WORST = 0.1
"""Share of the windows whose mean is the score. Both were chosen with seed 1 of
`tests/benchmarks/segmentation/wrong_masks.py` in view."""
PRIOR = 10.0
"""Regions' worth of the mean of all that the usual loss of every kind starts with."""


@dataclass(frozen=True, eq=False)
class WrongMasks:
    """What is known of each mask.

    excess: `(n_samples,)` mean excess of the worst windows. place: `(n_samples, 2)` row and column of the worst one's
    middle among the regions. loss, usual: `(n_samples,)` the mean loss there, and that of regions of the same kind.
    classes: `(n_samples,)` the class that the mask gives there. shape: rows and columns of the regions.
    """

    excess: Values
    place: Indices
    loss: Values
    usual: Values
    classes: Indices
    shape: tuple[int, int]


@once_per_sketch
def doubtful_masks(sketch: GradientSketch) -> Values:
    """How doubtful each mask is by two witnesses, each over its own spread, on average, `(n_samples,)`.

    One looks closely: by how much an image's worst regions exceed others like them. The other looks at all pixels at
    once: how far the gradient of the last layer lies from those of the others, times the error (`self_trak`), which a
    mask that is off everywhere a little moves more than any region of it.
    """
    from oga_core.scores.influence.sketched import self_trak  # few runs have masks, and chains of imports stay short

    parts = [unusual_regions(sketch), np.asarray(self_trak(sketch), dtype=np.float64)]
    return np.asarray(np.mean([part / max(float(part.std()), 1e-12) for part in parts], axis=0))


def unusual_regions(sketch: GradientSketch) -> Values:
    """How much larger the losses of an image's worst regions are than those of regions like them, `(n_samples,)`.

    Regions are alike where the mask gives them the same class, inside of an object or at its edge, where every model
    is unsure. What exceeds their mean loss is averaged over windows of a sixth of the image's side, and the mean of the
    worst tenth of these is the score.
    """
    return wrong_masks(sketch).excess


@once_per_sketch
def wrong_masks(sketch: GradientSketch) -> WrongMasks:
    """Judge every mask of a sketch."""
    assert sketch.region_losses is not None, "only asked for models that give pixels a class"
    assert sketch.region_kinds is not None, "only asked for models that give pixels a class"
    usual = usual_losses(sketch.region_losses, sketch.region_kinds)
    n_samples, height, width = sketch.region_losses.shape
    n_worst = max(1, round(WORST * height * width))
    parts = []
    for rows in slices(n_samples):
        losses = np.asarray(sketch.region_losses[rows], dtype=np.float64)
        kinds = np.asarray(sketch.region_kinds[rows], dtype=np.int64)
        means = averaged(np.where(kinds >= 0, losses - usual[kinds], 0.0)).reshape(len(losses), -1)
        worst = means.argmax(axis=1)
        each = np.arange(len(losses))
        parts.append(
            (
                np.sort(means, axis=1)[:, -n_worst:].mean(axis=1),
                worst,
                losses.reshape(len(losses), -1)[each, worst],
                kinds.reshape(len(losses), -1)[each, worst],
            )
        )
    excess, worst, loss, kind = (np.concatenate(part) for part in zip(*parts, strict=True))
    place = np.stack(np.unravel_index(worst, (height, width)), axis=1)
    return WrongMasks(excess, place, loss, np.where(kind >= 0, usual[kind], 0.0), kind // 2, (height, width))


def usual_losses(losses: Array, kinds: Array | Indices) -> Values:
    """The mean loss of the regions of every kind, `(n_kinds,)`."""
    sums: Values = np.zeros(0)
    counts: Values = np.zeros(0)
    for rows in slices(len(losses)):
        known = np.asarray(kinds[rows], dtype=np.int64)
        counted = known >= 0
        size = max(len(sums), int(known.max(initial=0)) + 1)
        values = np.asarray(losses[rows], dtype=np.float64)[counted]
        sums = _longer(sums, size) + np.bincount(known[counted], weights=values, minlength=size)
        counts = _longer(counts, size) + np.bincount(known[counted], minlength=size)
    whole = sums.sum() / max(counts.sum(), 1)
    result: Values = (sums + PRIOR * whole) / (counts + PRIOR)
    return result


def averaged(values: Values) -> Values:
    """Means over the windows around every region, `(n, rows, columns)`; nothing lies beyond the image."""
    from scipy.ndimage import uniform_filter

    size = [max(1, round(WINDOW * side)) for side in values.shape[1:]]
    result: Values = uniform_filter(values, (1, *size), mode="constant")
    return result


def _longer(values: Values, size: int) -> Values:
    return np.concatenate([values, np.zeros(size - len(values))])
