"""From scores to what is flagged: the slider only re-reads a sorted array, it never scores again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from oga_core.errors import OgaError
from oga_core.numerics import Indices, Values


@dataclass(frozen=True, eq=False)
class RankedScores:
    """One score of every sample, `(n_samples,)`, higher = more suspicious, with its order; ties by position."""

    values: Values

    @classmethod
    def of(cls, scores: ArrayLike) -> RankedScores:
        """The scores, of which some may be missing (NaN): those come last."""
        return cls(_known(np.asarray(scores, dtype=np.float64)))

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def order(self) -> Indices:
        """Positions of the samples from the most to the least suspicious."""
        return falling(self.values)

    @cached_property
    def ranks(self) -> Indices:
        """Rank of every sample, 0 for the most suspicious."""
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[self.order] = np.arange(len(self))
        return ranks

    def count(self, trim_fraction: float) -> int:
        """How many samples `trim_fraction` flags; raises `OgaError` outside 0 to 1."""
        if not 0 <= trim_fraction <= 1:
            raise OgaError(f"The trim fraction must be from 0 to 1, got {trim_fraction}.")
        return round(trim_fraction * len(self))

    def flagged(self, trim_fraction: float) -> Indices:
        """Positions of the flagged samples, most suspicious first."""
        return self.order[: self.count(trim_fraction)]

    def threshold(self, trim_fraction: float) -> float:
        """The lowest score that is flagged; infinity when nothing is."""
        count = self.count(trim_fraction)
        return float(self.values[self.order[count - 1]]) if count else float("inf")


def falling(values: Values) -> Indices:
    """Positions from the largest value to the smallest, equal ones in their order, `(n_samples,)`.

    NumPy's vectorised sort and a sort of the ties in it: a third of the time of its stable one at ten million.
    """
    order = np.argsort(-values)
    sorted_values = values[order]
    is_lower = sorted_values[1:] != sorted_values[:-1]
    if is_lower.all():
        return order
    place = np.concatenate([[0], np.cumsum(is_lower)])
    return np.sort(place << 32 | order) & 0xFFFFFFFF


def rank_of(values: Values, row: int) -> int:
    """The place of one sample in `falling`, 0 for the most suspicious, without sorting; missing values come last."""
    known = _known(values)
    return int((known > known[row]).sum() + (known[:row] == known[row]).sum())


def _known(values: Values) -> Values:
    is_missing = np.isnan(values)
    return np.where(is_missing, -np.inf, values) if is_missing.any() else values
