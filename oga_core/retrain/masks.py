"""Masks to train on: as they are given, or in their place those that the scored model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oga_core.numerics import Indices

if TYPE_CHECKING:
    from oga_core.runs.pixels import RunPixels

GIVEN, PREDICTED = 0, 1
"""Stand for a mask where others have a class to train on."""


class ChosenMasks(Sequence[Any]):
    """`masks[i]`: the given mask `(height, width)`, or the model's where `chosen[i]` is `PREDICTED`.

    rows: of the samples in the run, whose masks `pixels` holds.
    """

    def __init__(self, given: Sequence[Any], chosen: Indices, rows: Indices, pixels: RunPixels):
        self._given = given
        self._chosen = chosen
        self._rows = rows
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._given)

    def __getitem__(self, i: Any) -> Any:
        given = self._given[i]
        return self._pixels.in_place_of(given, self._rows[i]) if self._chosen[i] == PREDICTED else given
