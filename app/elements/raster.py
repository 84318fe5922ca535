"""The crowd on the map as a picture: a density raster that costs the same to send at any number of samples."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

GRID = 512
_INK = (120, 114, 105)


def bounds(positions: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """The map's edges with a small margin: x0, x1, y0, y1."""
    low = np.nanmin(positions, axis=0)
    high = np.nanmax(positions, axis=0)
    margin = np.maximum((high - low) * 0.03, 1e-6)
    x0, y0 = low - margin
    x1, y1 = high + margin
    return float(x0), float(x1), float(y0), float(y1)


def density_png(positions: NDArray[np.float32], edges: tuple[float, float, float, float], grid: int = GRID) -> bytes:
    """Draw how many samples lie where, as a transparent PNG; darker is denser, on a logarithmic scale.

    positions: `(n_samples, 2)`; points that are not numbers are left out.
    """
    from PIL import Image

    x0, x1, y0, y1 = edges
    known = positions[np.isfinite(positions).all(axis=1)]
    column = np.clip(((known[:, 0] - x0) / (x1 - x0) * grid).astype(np.int64), 0, grid - 1)
    line = np.clip(((y1 - known[:, 1]) / (y1 - y0) * grid).astype(np.int64), 0, grid - 1)
    counts = np.bincount(line * grid + column, minlength=grid * grid).reshape(grid, grid)
    depth = np.log1p(counts) / max(np.log1p(counts.max()), 1e-9)
    picture = np.zeros((grid, grid, 4), dtype=np.uint8)
    picture[..., :3] = _INK
    picture[..., 3] = np.where(counts > 0, 70 + 185 * depth, 0)
    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, "PNG", optimize=False, compress_level=3)
    return buffer.getvalue()
