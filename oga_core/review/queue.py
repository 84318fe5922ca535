"""In which order samples are listed and reviewed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.runs.scored import ScoredRun

LISTS = ("Most suspicious", "At the threshold", "Below the threshold", "Random")
_RANDOM_EVERY = 10


def mixed_queue(
    data: ScoredRun, score: str, flagged: int, chosen: NDArray[np.bool_], seed: int = 0
) -> NDArray[np.int64]:
    """Rows to review: the flagged by falling score, after every ninth one random unflagged sample.

    The random ones tell how many bad samples the threshold misses. `chosen` `(n_samples,)` restricts both.
    """
    order = data.order(score)
    top = order[:flagged][chosen[order[:flagged]]]
    rest = np.sort(order[flagged:][chosen[order[flagged:]]])
    count = min(len(rest), len(top) // (_RANDOM_EVERY - 1))
    if not count:
        return top if len(top) else order[chosen[order]]
    extra = np.random.default_rng(seed).choice(rest, count, replace=False)
    places = (np.arange(count) + 1) * (_RANDOM_EVERY - 1)
    return np.insert(top, places, extra)


def listed(
    data: ScoredRun, score: str, flagged: int, chosen: NDArray[np.bool_], which: str, near: int
) -> NDArray[np.int64]:
    """Rows of one of `LISTS`, restricted to `chosen` `(n_samples,)`; `near` of them at the threshold."""
    order = data.order(score)
    passing = chosen[order]
    if which == "At the threshold":
        middle = int(passing[:flagged].sum())
        return order[passing][max(0, middle - near // 2) :][:near]
    if which == "Below the threshold":
        return order[flagged:][passing[flagged:]]
    if which == "Random":
        return np.random.default_rng(0).permutation(order[passing])
    return order[passing]
