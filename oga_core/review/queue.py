"""In which order samples are listed and reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from oga_core.review.selection import Selection

LISTS = ("Most suspicious", "At the threshold", "Below the threshold", "Random")
_RANDOM_EVERY = 10


def mixed_queue(selection: Selection, seed: int = 0) -> NDArray[np.int64]:
    """Rows to review of what passes the filter: the flagged by falling score, after every ninth a random other one.

    The random ones tell how many bad samples the threshold misses.
    """
    top = selection.flagged
    is_other = selection.chosen.copy()
    is_other[top] = False
    rest = np.flatnonzero(is_other)
    count = min(len(rest), len(top) // (_RANDOM_EVERY - 1))
    if not count:
        return top if len(top) else selection.rows
    extra = np.random.default_rng(seed).choice(rest, count, replace=False)
    places = (np.arange(count) + 1) * (_RANDOM_EVERY - 1)
    return np.insert(top, places, extra)


def listed(selection: Selection, which: str, near: int) -> NDArray[np.int64]:
    """Rows of one of `LISTS` of what passes the filter; `near` of them at the threshold."""
    rows = selection.rows
    n_flagged = len(selection.flagged)
    if which == "At the threshold":
        return rows[max(0, n_flagged - near // 2) :][:near]
    if which == "Below the threshold":
        return rows[n_flagged:]
    if which == "Random":
        return np.random.default_rng(0).permutation(rows)
    return rows
