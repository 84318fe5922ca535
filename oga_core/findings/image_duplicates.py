"""Near-duplicates among images: the same picture saved again, shifted by a pixel, brighter or darker."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Values, evenly_spaced, principal_axes, slices

BLOCK = 1000
REACH = 5000
"""Samples looked up at once, and how many on either side, along the principal axis, are compared with them."""
CANDIDATES = 3
"""The nearest by coarse pattern; the same picture is the very nearest in 99 of 100 cases."""
MARGIN = 4
SHIFT = 2
"""Pixels left out at every edge, where a shift brings in others, and the largest shift that is tried."""
COARSE = 4
"""Pixels on either side averaged for the coarse pattern, which a shift by one changes little."""
FINE = 3
WIDE = 7
"""Detail between these widths in pixels is compared: below is what compression takes, above what skies share."""
SAME = 0.9
"""Correlation of the detail. Of another picture it is usually below 0.5, of one with the same object on white 0.8."""
NEAR = 0.2
"""And the rest to 1 is below this share of what it usually is to the nearest: drawn digits are alike, and no copies."""
SURVEYED = 2000
"""Samples that the usual correlation is read off."""


def image_duplicates(thumbnails: NDArray[np.uint8]) -> Indices:
    """Every image's near-duplicate, -1 without one, `(n_samples,)`.

    thumbnails: `(n_samples, height, width)`, grey. Candidates are the nearest by coarse pattern; the detail of the two
    must then correlate, whichever of a few shifts is best. Neither depends on brightness and contrast.
    """
    n_samples = len(thumbnails)
    duplicate: Indices = np.full(n_samples, -1, dtype=np.int64)
    if n_samples < 2:
        return duplicate
    candidates = _nearest(_coarse_patterns(thumbnails))
    likeness = np.stack([_likeness(thumbnails, np.arange(n_samples), column) for column in candidates.T], axis=1)
    best = likeness.argmax(axis=1)
    rows = np.arange(n_samples)
    alike = likeness[rows, best] > max(SAME, 1 - NEAR * (1 - _usual(likeness)))
    duplicate[alike] = candidates[rows, best][alike]
    return duplicate


def _usual(likeness: Values) -> float:
    """The median likeness to the most alike of the others, a possible copy of each left out."""
    surveyed = likeness[evenly_spaced(np.arange(len(likeness)), SURVEYED)]
    return float(np.median(np.sort(surveyed, axis=1)[:, -2])) if surveyed.shape[1] > 1 else 0.0


def _coarse_patterns(thumbnails: NDArray[np.uint8]) -> Array:
    """Means over squares without the edge, centred and of length 1, `(n_samples, n_squares)`."""
    edge = MARGIN // 2
    _, height, width = thumbnails.shape
    down, across = ((side - 2 * edge) // COARSE for side in (height, width))
    patterns = np.empty((len(thumbnails), down * across), dtype=np.float32)
    for part in slices(len(thumbnails)):
        inner = thumbnails[part, edge : edge + COARSE * down, edge : edge + COARSE * across]
        squares = inner.reshape(-1, down, COARSE, across, COARSE).mean(axis=(2, 4), dtype=np.float32)
        patterns[part] = _unit(squares.reshape(len(inner), -1))
    return patterns


def _nearest(patterns: Array) -> Indices:
    """Positions of the nearest others by product, `(n_samples, n_candidates)`, sought along the principal axis."""
    order = np.argsort(principal_axes(patterns, 1).project(patterns)[:, 0], kind="stable")
    count = min(CANDIDATES, len(order) - 1)
    nearest = np.empty((len(order), count), dtype=np.int64)
    for part in slices(len(order), BLOCK):
        here = order[part]
        near = order[max(0, part.start - REACH) : part.stop + REACH]
        products = patterns[here] @ patterns[near].T
        products[here[:, None] == near] = -np.inf
        nearest[here] = near[np.argpartition(-products, count - 1, axis=1)[:, :count]]
    return nearest


def _likeness(thumbnails: NDArray[np.uint8], left: Indices, right: Indices) -> Values:
    """Correlation of the detail of two images each, at the best of the shifts, `(n_pairs,)`."""
    result = np.full(len(left), -1.0)
    for part in slices(len(left), BLOCK):
        still = _detail(thumbnails[left[part]])
        moved = _detail(thumbnails[right[part]])
        inner = _unit(_cut(still, 0, 0))
        for down in range(-SHIFT, SHIFT + 1):
            for across in range(-SHIFT, SHIFT + 1):
                products = np.einsum("ij,ij->i", inner, _unit(_cut(moved, down, across)))
                result[part] = np.maximum(result[part], products)
    return result


def _cut(images: Array, down: int, across: int) -> Array:
    """Everything but the margin, moved, `(n_images, n_pixels)`."""
    _, height, width = images.shape
    inner = images[:, MARGIN + down : height - MARGIN + down, MARGIN + across : width - MARGIN + across]
    return inner.reshape(len(images), -1)


def _detail(thumbnails: NDArray[np.uint8]) -> Array:
    from scipy.ndimage import uniform_filter

    images = thumbnails.astype(np.float32)
    fine, wide = (uniform_filter(images, size=(1, width, width)) for width in (FINE, WIDE))
    detail: Array = fine - wide
    return detail


def _unit(rows: NDArray[np.floating[Any]]) -> Array:
    """Rows centred and of length 1; even ones become 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit: Array = (centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3)).astype(np.float32)
    return unit
