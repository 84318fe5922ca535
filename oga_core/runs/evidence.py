"""Why a sample was flagged: the model's probabilities and its neighbours in gradient space."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch, TokenLosses
from oga_core.numerics import softmax
from oga_core.runs.columns import Placed, column_names, placed
from oga_core.runs.scored import ScoredRun
from oga_core.scores.tagging.word_scores import Doubt, WordScores

_WHOLE = 100_000
"""Samples that are all compared: their directions take 25 MB."""
_CANDIDATES = 20_000
_FAR_CANDIDATES = 4_000
"""Those near on the map that are compared instead; fewer where the arrays outgrow memory and lie on the disk."""
_OUTGROWN = 1_000_000
_DIM = 64
_PER_NEIGHBOUR = 16


@dataclass(frozen=True)
class Neighbour:
    """A sample near another in gradient space; similarity is the cosine of the sketches, -1 to 1."""

    row: int
    similarity: float


class Evidence:
    """Reads the run's arrays, memory-mapped, for one sample at a time."""

    def __init__(self, data: ScoredRun):
        self._data = data
        self._spaces: dict[str, NDArray[np.float32]] = {}
        self._near = (-1, np.empty(0, dtype=np.int64))

    @property
    def sketch(self) -> GradientSketch | None:
        """The arrays of the gradient pass, None where they are missing or damaged; `fault` says so."""
        return self._arrays[0]

    @property
    def fault(self) -> str:
        """Why nothing can be said about samples, empty where something can."""
        return self._arrays[1]

    @cached_property
    def _arrays(self) -> tuple[GradientSketch | None, str]:
        try:
            return self._data.run.gradient_sketch(), ""
        except OgaError as error:
            return None, str(error)

    def probabilities(self, row: int, wrong: float | None = None, top: int = 10) -> tuple[tuple[str, float], ...]:
        """The most probable classes and the given one, most likely first; the model's own where `wrong` is not known.

        wrong: the probability that the given label is wrong, 0 to 1. The others have their parts of it: the suggestion
        the one that the run gives it, the rest what is left, as the model shares it out.
        """
        if self.sketch is None or self.sketch.logits is None:
            return ()
        values = softmax(np.asarray(self.sketch.logits[row : row + 1]))[0]
        if wrong is not None:
            values = self._shared_out(row, values, wrong)
        codes = list(np.argsort(-values, kind="stable")[:top])
        given = int(self._data.given[row])
        if given >= 0 and given not in codes:
            codes.append(given)
        return tuple((self._data.class_name(int(code)), float(values[code])) for code in codes)

    def _shared_out(self, row: int, values: NDArray[np.float64], wrong: float) -> NDArray[np.float64]:
        given, (suggested, part) = int(self._data.given[row]), self._data.suggested_part(row)
        others = values.copy()
        others[[code for code in (given, suggested) if code >= 0]] = 0
        others *= (1 - part) / max(float(others.sum()), 1e-12)
        if suggested >= 0:
            others[suggested] = part
        shares: NDArray[np.float64] = wrong * others
        shares[given] = 1 - wrong
        return shares

    def values(self, row: int) -> list[Placed]:
        """The numbers of a table's row beside those of its class, the unusual ones first; none for other data."""
        inputs = None if self.sketch is None else self.sketch.inputs
        if inputs is None:
            return []
        names = column_names(self._data.run.arrays, inputs.shape[1])
        return placed(inputs, names, self._data.given, row, self._data.suggestion(row))

    def token_losses(self, row: int) -> NDArray[np.float16]:
        """The losses of the tokens of a row that are trained on, in their order; none without a language model."""
        return TokenLosses(self._data.run.arrays).of(row)

    @cached_property
    def _words(self) -> WordScores | None:
        try:
            return WordScores.load(self._data.path)
        except OgaError:
            return None

    def doubts(self, row: int) -> list[Doubt]:
        """What is known of the tags of a sentence's words, in their order; none for other samples."""
        return [] if self._data.target != "tags" or self._words is None else self._words.of(row)

    def neighbours(self, row: int, count: int = 6) -> tuple[list[Neighbour], list[Neighbour]]:
        """The samples whose gradients point the same way, nearest first: with the same given label, and with others.

        Above 100,000 samples only the 20,000 nearest on the map are compared, above a million 4,000.
        """
        same = self._data.given == self._data.given[row]
        return self._nearest("sketch", row, count, same), self._nearest("sketch", row, count, ~same)

    def look_alikes(self, row: int, count: int = 8) -> list[Neighbour]:
        """The samples that the model sees most alike, by its last features and whatever their labels."""
        return self._nearest("features", row, count, np.ones(len(self._data), dtype=bool))

    def alike(self, row: int, count: int) -> list[Neighbour]:
        """The samples whose gradients point the same way, whatever their labels, nearest first."""
        return self._nearest("sketch", row, count, np.ones(len(self._data), dtype=bool))

    def _nearest(self, space: str, row: int, count: int, wanted: NDArray[np.bool_]) -> list[Neighbour]:
        array = None if self.sketch is None else getattr(self.sketch, space)
        if array is None:
            return []
        rows = self._candidates(row)
        directions = self._directions(space, array, rows)
        own = _unit(array[row : row + 1])[0]
        similarity = np.where(wanted if rows is None else wanted[rows], directions @ own, -np.inf)
        some = min(_PER_NEIGHBOUR * count, len(similarity) - 1)
        best = np.argpartition(-similarity, some)[: some + 1]
        best = best[np.isfinite(similarity[best])]
        return self._exact(space, row, best if rows is None else rows[best])[:count]

    def _exact(self, space: str, row: int, rows: NDArray[np.int64]) -> list[Neighbour]:
        array = getattr(self.sketch, space)
        near = _scattered(array, rows)
        own = np.asarray(array[row])
        lengths = np.linalg.norm(near, axis=1) * np.linalg.norm(own)
        similarity = near @ own / np.maximum(lengths, 1e-12)
        order = np.argsort(-similarity, kind="stable")
        return [Neighbour(int(rows[i]), float(similarity[i])) for i in order if rows[i] != row]

    def _directions(
        self, space: str, array: NDArray[np.float32], rows: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        if space not in self._spaces:
            self._spaces[space] = _unit(np.asarray(array) if rows is None else _scattered(array, rows))
        return self._spaces[space]

    def _candidates(self, row: int) -> NDArray[np.int64] | None:
        positions = self._data.positions
        if len(self._data) <= _WHOLE or positions is None:
            return None
        if self._near[0] != row:
            count = _CANDIDATES if len(self._data) <= _OUTGROWN else _FAR_CANDIDATES
            distance = np.square(positions[:, 0] - positions[row, 0]) + np.square(positions[:, 1] - positions[row, 1])
            self._near = row, np.sort(np.argpartition(distance, count)[:count])
            self._spaces = {}  # of the row before
        return self._near[1]


def _scattered(array: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return these rows of an array, of a mapped file without what lies around each.

    Else the system reads 128 kB for every row: 2,000 rows of ten million took 10 s from a disk, and take 0.4 s.
    """
    file: object = array
    while isinstance(file, np.ndarray):
        file = file.base
    if not isinstance(file, mmap.mmap) or not hasattr(mmap, "MADV_RANDOM"):
        return np.asarray(array[rows])
    file.madvise(mmap.MADV_RANDOM)
    try:
        return np.asarray(array[rows])
    finally:
        file.madvise(mmap.MADV_NORMAL)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions of the vectors in at most 64 dimensions: a random projection keeps dot products, and little memory."""
    if vectors.shape[1] > _DIM:
        vectors = vectors @ np.random.default_rng(0).normal(size=(vectors.shape[1], _DIM)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return result
