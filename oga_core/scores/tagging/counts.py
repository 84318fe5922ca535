"""Which tags a word has elsewhere in the data."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Indices, Values

PRIOR = 1.0
"""Words' worth of the shares of all tags that every count starts with: a word that stands there once tells nothing."""


def left_out_counts(forms: Indices, tags: Indices, n_classes: int, prior: float = PRIOR) -> Values:
    """The share of every tag among the other occurrences of each word, `(n_words, n_classes)`.

    forms: `(n_words,)` a number for each word as it is written.
    """
    shares = (np.bincount(tags, minlength=n_classes) + 0.5) / (len(tags) + 0.5 * n_classes)
    _, words = np.unique(forms, return_inverse=True)
    counts = np.zeros((int(words.max()) + 1, n_classes))
    np.add.at(counts, (words, tags), 1)
    others: Values = counts[words]
    others[np.arange(len(tags)), tags] -= 1
    result: Values = (others + prior * shares) / (others.sum(axis=1, keepdims=True) + prior)
    return result
