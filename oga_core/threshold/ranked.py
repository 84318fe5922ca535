"""From scores to what is flagged: the slider only re-reads a sorted array, it never scores again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oga_core.errors import OgaError
from oga_core.numerics import Indices, Values


@dataclass(frozen=True, eq=False)
class RankedScores:
    """One score of every sample, `(n_samples,)`, higher = more suspicious, with its order; ties by position."""

    values: Values

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def order(self) -> Indices:
        """Positions of the samples from the most to the least suspicious."""
        return np.argsort(-self.values, kind="stable")

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
