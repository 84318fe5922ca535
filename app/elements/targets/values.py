"""Where a number lies among those of all samples: for previews, the map and the charts of a run of numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import TO_SIGMA
from oga_core.runs.scored import ScoredRun
from oga_core.samples import number_text

BARS = 40
MAP_BINS = 8
"""Ranges that the map tells apart by colour: as many steps of one hue as eyes can order."""
WIDTH = 4.0
"""Of the scale on either side of the median, in robust standard deviations: a slip must not press all others together.
"""


def scale(data: ScoredRun, row: int) -> dict[str, Any] | None:
    """What a preview draws of a sample's number; None where samples are not labelled with numbers."""
    if data.target != "number":
        return None
    heights, edges = distribution(data)
    given, suggested = data.given_text(row) or "", data.proposal(row) or ""
    return {
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "bars": [round(float(height), 3) for height in heights],
        "given": float(data.given_values[row]),
        "suggested": float(suggested or data.given_values[row]),
        "words": [given, suggested],
    }


def distribution(data: ScoredRun) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights of the bars, 0 to 1, and their edges."""
    numbers = data.given_values
    middle = float(np.median(numbers))
    reach = WIDTH * TO_SIGMA * float(np.median(np.abs(numbers - middle)))
    low, high = max(middle - reach, float(numbers.min())), min(middle + reach, float(numbers.max()))
    edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    return counts / max(int(counts.max()), 1), edges


def ranges(data: ScoredRun) -> tuple[NDArray[np.int64], list[str]]:
    """The range that every sample's number is in, and the ranges in words: each holds about as many samples."""
    cuts = np.unique(np.quantile(data.given_values, np.linspace(0, 1, MAP_BINS + 1)[1:-1]))
    codes = np.searchsorted(cuts, data.given_values, side="right")
    texts = [number_text(float(cut), 3) for cut in cuts]
    names = [f"below {texts[0]}", *(f"{a} to {b}" for a, b in pairwise(texts)), f"from {texts[-1]}"]
    return codes.astype(np.int64), names
