"""The tokens of a data set's rows, made once for all that ask: the order of a pass, its counts and its batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from oga_core.samples import SampleSet
from oga_core.tasks.language.tokens import RowTokens

LARGEST_KEPT = 2**24
"""Tokens that are kept of one data set, in 84 MB; those of further rows are made again whenever they are asked for."""
ROW = 100  # tokens that take as much memory as what a row has beside its tokens

Kept = tuple[NDArray[np.int32], NDArray[np.bool_], str, Mapping[str, int]]


class KeptTokens:
    """Tokens by data set and row, as `reader` makes them; a data set's go when it goes."""

    def __init__(self, reader: Callable[[Mapping[str, Any]], RowTokens]):
        self._reader = reader
        self._rows: WeakKeyDictionary[SampleSet, dict[int, Kept]] = WeakKeyDictionary()
        self._sizes: WeakKeyDictionary[SampleSet, int] = WeakKeyDictionary()

    def __call__(self, samples: SampleSet, row: int) -> RowTokens:
        """Return the tokens of the row at a position; raises `UnreadableSample` as the reader does."""
        rows = self._rows.setdefault(samples, {})
        if row in rows:
            ids, trained, trained_on, remarks = rows[row]
            return RowTokens(ids.tolist(), trained.tolist(), trained_on, remarks)
        tokens = self._reader(samples.inputs[row])
        size = self._sizes.get(samples, 0) + len(tokens.ids) + ROW
        if size <= LARGEST_KEPT:
            self._sizes[samples] = size
            ids = np.array(tokens.ids, dtype=np.int32)
            rows[row] = (ids, np.array(tokens.trained, dtype=bool), tokens.trained_on, tokens.remarks)
        return tokens
