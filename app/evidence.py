"""Why a sample was flagged: the model's probabilities and its neighbours in gradient space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oga_app.run_data import RunData
from oga_core.gradient_sketch import GradientSketch, softmax

_WHOLE = 100_000
_DIM = 64
_PER_NEIGHBOUR = 16


@dataclass(frozen=True)
class Neighbour:
    """A sample near another in gradient space; similarity is the cosine of the sketches, -1 to 1."""

    row: int
    similarity: float


class Evidence:
    """Reads the run's arrays, memory-mapped, for one sample at a time."""

    def __init__(self, data: RunData):
        self._data = data

    @cached_property
    def sketch(self) -> GradientSketch | None:
        """The arrays of the gradient pass, None where they are not in the run folder."""
        try:
            sketch = self._data.run.gradient_sketch()
        except (OSError, TypeError, ValueError):
            return None
        return sketch if len(sketch) == len(self._data) else None

    def probabilities(self, row: int, top: int = 5) -> tuple[tuple[str, float], ...]:
        """The most probable classes and the given one, most likely first."""
        if self.sketch is None or self.sketch.logits is None:
            return ()
        values = softmax(np.asarray(self.sketch.logits[row : row + 1]))[0]
        chosen = list(np.argsort(-values, kind="stable")[:top])
        given = int(self._data.given[row])
        if given >= 0 and given not in chosen:
            chosen.append(given)
        return tuple((self._data.class_name(int(code)), float(values[code])) for code in chosen)

    def neighbours(self, row: int, count: int = 12) -> list[Neighbour]:
        """The samples whose gradients point the same way, nearest first.

        Above 100,000 samples only those near on the map are compared.
        """
        directions = self._directions
        if directions is None:
            return []
        rows = self._candidates(row)
        similarity = directions @ directions[row] if rows is None else directions[rows] @ directions[row]
        some = min(_PER_NEIGHBOUR * count, len(similarity) - 1)
        best = np.argpartition(-similarity, some)[: some + 1]
        return self._exact(row, best if rows is None else rows[best])[:count]

    def _exact(self, row: int, rows: NDArray[np.int64]) -> list[Neighbour]:
        assert self.sketch is not None
        near, own = np.asarray(self.sketch.sketch[rows]), np.asarray(self.sketch.sketch[row])
        lengths = np.linalg.norm(near, axis=1) * np.linalg.norm(own)
        similarity = near @ own / np.maximum(lengths, 1e-12)
        order = np.argsort(-similarity, kind="stable")
        return [Neighbour(int(rows[i]), float(similarity[i])) for i in order if rows[i] != row]

    @cached_property
    def _directions(self) -> NDArray[np.float32] | None:
        if self.sketch is None:
            return None
        sketch = np.asarray(self.sketch.sketch)
        if sketch.shape[1] > _DIM:
            # A random projection of a random sketch keeps its dot products; 64 numbers a sample stay in memory.
            generator = np.random.default_rng(0)
            sketch = sketch @ generator.normal(size=(sketch.shape[1], _DIM)).astype(np.float32)
        lengths = np.linalg.norm(sketch, axis=1, keepdims=True)
        result: NDArray[np.float32] = (sketch / np.maximum(lengths, 1e-12)).astype(np.float32)
        return result

    def _candidates(self, row: int) -> NDArray[np.int64] | None:
        positions = self._data.positions
        if len(self._data) <= _WHOLE or positions is None:
            return None
        distance = np.square(positions - positions[row]).sum(axis=1)
        return np.argpartition(distance, 20_000)[:20_000]
