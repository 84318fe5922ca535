"""The charts of the report: a histogram as SVG and the map as a small PNG."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH = 640
_HEIGHT = 180
_FOOT = 24
_BINS = 60
_MAP_SIZE = 480
_UNFLAGGED = (140, 137, 130)
_FLAGGED = (200, 67, 29)


def histogram(scores: NDArray[np.float64], threshold: float, name: str) -> str:
    """Bars of the score's distribution, those at or above the threshold marked, as an `<svg>` element."""
    low, high = (float(bound) for bound in np.quantile(scores, [0.0, 1.0]))
    counts, edges = np.histogram(scores, bins=_BINS, range=(low, high if high > low else low + 1))
    # A square root keeps the few flagged visible beside the many that are not.
    heights = np.sqrt(counts / max(counts.max(), 1)) * _HEIGHT
    step = _WIDTH / _BINS
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}" '
        f'fill="{"var(--mark)" if edges[i + 1] > threshold else "var(--quiet)"}"/>'
        for i, height in enumerate(heights)
    )
    labels = (
        f'<text x="0" y="{_HEIGHT + 18}" fill="currentColor" font-size="13">{low:.3g}</text>'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 18}" text-anchor="middle" fill="currentColor" font-size="13">'
        f"{escape(name)}, number of samples on a square-root scale</text>"
        f'<text x="{_WIDTH}" y="{_HEIGHT + 18}" text-anchor="end" fill="currentColor" font-size="13">{high:.3g}</text>'
    )
    title = f"Histogram of {escape(name)}; the threshold is {threshold:.3g}"
    size = f"0 0 {_WIDTH} {_HEIGHT + _FOOT}"
    return f'<svg viewBox="{size}" role="img" aria-label="{title}">{bars}{labels}</svg>'


def map_image(positions: NDArray[np.float64], flagged: NDArray[np.int64]) -> str:
    """The map of the gradients, `(n_samples, 2)`, flagged samples on top, as an `<img>` element."""
    from PIL import Image

    low, high = np.quantile(positions, [0.002, 0.998], axis=0)
    unit = np.clip((positions - low) / np.where(high > low, high - low, 1), 0, 1)
    pixel = (unit * (_MAP_SIZE - 3)).astype(np.int64) + 1
    canvas = np.zeros((_MAP_SIZE, _MAP_SIZE, 4), dtype=np.uint8)
    _stamp(canvas, np.delete(pixel, flagged, axis=0), _UNFLAGGED, 130)
    _stamp(canvas, pixel[flagged], _FLAGGED, 255)
    data = io.BytesIO()
    Image.fromarray(canvas[::-1], "RGBA").save(data, format="PNG", optimize=True)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img class="map" alt="Map of the gradients, flagged samples marked" src="data:image/png;base64,{encoded}">'


def _stamp(canvas: NDArray[np.uint8], pixel: NDArray[np.int64], colour: tuple[int, int, int], opacity: int) -> None:
    for right, up in ((0, 0), (1, 0), (0, 1), (1, 1)):
        canvas[pixel[:, 1] + up, pixel[:, 0] + right] = (*colour, opacity)
