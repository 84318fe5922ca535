"""Which points a polygon holds that a hand drew on the map: of ten million within a third of a second."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oga_core.errors import OgaError
from oga_core.numerics import Array, Values

MAX_CORNERS = 2000  # a hand draws no more of them, and the cost grows with their number
CELLS = 256
"""Of the grid over a polygon, each way: an edge comes near to a few per cent of them."""


def points_in_polygon(points: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Return for `(n, 2)` points whether they lie inside a `(corners, 2)` polygon, by the even-odd rule.

    Points that are not numbers lie outside. A cell of a grid that no edge comes near is inside as its middle is, so
    that only the points of other cells are compared with the edges.
    """
    place = np.asarray(points)
    corners = np.asarray(polygon, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or not 3 <= len(corners) <= MAX_CORNERS:
        raise OgaError(
            f"A selection is a polygon of 3 to {MAX_CORNERS} corners. Got an array of shape {corners.shape}."
        )
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = place[:, 0], place[:, 1]
    near = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    inside = np.zeros(len(place), dtype=bool)
    if len(near) > CELLS**2:
        grid = _Grid(low, (high - low) / CELLS)
        cell = grid.cells(x[near], y[near])
        is_open = grid.near_edges(corners).ravel()[cell]
        middles = _crossed(grid.middles(), corners)
        inside[near] = middles[cell]
        near = near[is_open]
    inside[near] = _crossed(place[near], corners)
    return inside


@dataclass(frozen=True, eq=False)
class _Grid:
    """Cells over the box around a polygon: its lower corner and the size of a cell, `(2,)` each."""

    low: Values
    size: Values

    def cells(self, x: Array, y: Array) -> NDArray[np.int32]:
        """The number of the cell of each point inside the box, row by row."""
        column, row = (
            np.clip((values - start) / (step or 1), 0, CELLS - 1).astype(np.int32)
            for values, start, step in zip((x, y), self.low, self.size, strict=True)
        )
        return row * np.int32(CELLS) + column

    def middles(self) -> Values:
        """Of all cells, `(n_cells, 2)`."""
        row, column = np.divmod(np.arange(CELLS**2), CELLS)
        return self.low + (np.stack([column, row], axis=1) + 0.5) * self.size

    def near_edges(self, corners: Values) -> NDArray[np.bool_]:
        """Which cells, `(CELLS, CELLS)`, an edge comes as near to as one cell, which no rounding bridges."""
        near = np.zeros((CELLS, CELLS), dtype=bool)
        ends = (corners - self.low) / np.where(self.size > 0, self.size, 1)
        for start, end in zip(np.roll(ends, 1, axis=0), ends, strict=True):
            steps = 2 * int(np.abs(end - start).max()) + 2
            column, row = (start + np.linspace(0, 1, steps)[:, None] * (end - start)).astype(np.int64).T
            for across, up in product((-1, 0, 1), (-1, 0, 1)):
                near[np.clip(row + up, 0, CELLS - 1), np.clip(column + across, 0, CELLS - 1)] = True
        return near


def _crossed(points: Array | Values, corners: Values) -> NDArray[np.bool_]:
    """Whether a line from each point to the right crosses the polygon an odd number of times, `(n_points,)`.

    Points are sorted by y, so that an edge meets only those beside it.
    """
    order = np.argsort(points[:, 1])
    x, y = points[order].astype(np.float64).T
    crossed = np.zeros(len(order), dtype=bool)
    heights = np.searchsorted(y, corners[:, 1])
    for i, (x1, y1) in enumerate(corners):
        x0, y0 = corners[i - 1]
        if y0 != y1:
            beside = slice(*sorted((heights[i - 1], heights[i])))
            crossed[beside] ^= x[beside] < x0 + (y[beside] - y0) * ((x1 - x0) / (y1 - y0))
    inside = np.empty(len(order), dtype=bool)
    inside[order] = crossed
    return inside
