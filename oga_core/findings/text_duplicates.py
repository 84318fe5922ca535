"""Near-duplicates among texts: the same but for case, punctuation, spaces, or a few characters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Indices, Values, slices

BAND = 4
"""Values of a signature that must all agree for two texts to be compared; of near-equal texts some band nearly always
does, of texts that share half their shingles one in sixteen."""
NEAR = 0.8
"""Share of their shingles that near-equal texts have in common: a typing error or two in a sentence."""
PARTNERS = 2
"""Texts that agree in a band are compared with this many that follow."""


def text_duplicates(signatures: NDArray[np.uint32]) -> Indices:
    """Every text's near-duplicate, -1 without one, `(n_samples,)`.

    signatures: `(n_samples, n_hashes)` MinHash signatures; the share of values that agree estimates the share of
    shingles in common. Pairs to compare come from bands (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets).
    """
    duplicate: Indices = np.full(len(signatures), -1, dtype=np.int64)
    likeness: Values = np.full(len(signatures), NEAR)
    for band in slices(signatures.shape[1], BAND):
        values = np.ascontiguousarray(signatures[:, band])
        order = np.lexsort(values.T)
        for step in range(1, PARTNERS + 1):
            left = order[:-step]
            right = order[step:]
            agree = (values[left] == values[right]).all(axis=1)
            left = left[agree]
            right = right[agree]
            alike = (signatures[left] == signatures[right]).mean(axis=1)
            for one, other in ((left, right), (right, left)):
                better = alike > likeness[one]
                duplicate[one[better]] = other[better]
                likeness[one[better]] = alike[better]
    return duplicate
