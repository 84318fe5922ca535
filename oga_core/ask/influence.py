"""How much each stored row pushed for the response of a query, from stored gradients, by several methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from oga_core.ask.methods import METHODS
from oga_core.errors import OgaError, unknown
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats
from oga_core.scores.common import drawn
from oga_core.scores.estimators.curvature import Gradients
from oga_core.scores.estimators.inverse import datainf_inverse, fisher_inverse
from oga_core.scores.estimators.kronecker import ekfac_inverse

CURVATURE_ROWS = 2048
"""Rows that the curvature is learnt from, at random: more cost seconds at the first question and change no ranking."""
_NO_WHOLE = (
    "EK-FAC needs whole gradients, and this run has sketches of them: its layers are too large. Choose another method, "
    "or score again with the parameters of a few layers, such as 'pattern:layers\\.3\\..*lora'."
)


class Influence:
    """Scores of stored rows for queries; what all queries share is computed once.

    sketch: of the run; its whole gradients are used where there are any. shapes: of the parameters whose gradients
    these are, asked for by EK-FAC only.
    """

    def __init__(self, sketch: GradientSketch, shapes: Callable[[], Sequence[tuple[int, ...]]], *, seed: int = 0):
        self.is_whole = sketch.gradients is not None
        rows = sketch.sketch if sketch.gradients is None else sketch.gradients
        self.gradients = Gradients(np.ones((len(rows), 1), dtype=np.float32), rows)
        self._shapes = shapes
        self._drawn = np.sort(drawn(sketch, CURVATURE_ROWS, seed))
        self._inverses: dict[str, Callable[[Floats], Floats]] = {}

    def __call__(self, queries: Floats, method: str) -> Floats:
        """How much each stored row lowers the loss of each query, `(n_queries, n_rows)`: above 0 is for, below against.

        queries: gradients `(n_queries, n_numbers)` in the form of the stored ones.
        """
        if method not in METHODS:
            raise unknown("method", method, METHODS)
        directions = np.concatenate([self._inverse(method)(query[None]) for query in queries])
        products = [right @ directions.T for _, _, right in self.gradients.blocks()]
        scores: Floats = np.concatenate(products).T
        if method == "cosine":
            lengths = np.linalg.norm(queries, axis=1)[:, None] * self._lengths
            scores = scores / np.maximum(lengths, 1e-30)
        return scores

    def _inverse(self, method: str) -> Callable[[Floats], Floats]:
        if method in ("tracin", "cosine"):
            return lambda direction: direction
        if method not in self._inverses:
            few = self.gradients.take(self._drawn)
            if method == "ekfac":
                if not self.is_whole:
                    raise OgaError(_NO_WHOLE)
                self._inverses[method] = ekfac_inverse(few.block(slice(None))[1], self._shapes())
            else:
                self._inverses[method] = datainf_inverse(few) if method == "datainf" else fisher_inverse(few)
        return self._inverses[method]

    @cached_property
    def _lengths(self) -> Floats:
        return np.sqrt(self.gradients.squared_norms()).astype(np.float32)
