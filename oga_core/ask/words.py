"""How alike the words of two rows are, so that a match that words alone explain shows as one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from oga_core.numerics import Values

SATURATION = 1.2
LENGTH_SHARE = 0.75
"""k1 and b of BM25, at the values that search engines ship with."""
_WORDS = r"(?u)\w+"


class WordIndex:
    """The words of many texts, each counted once per text and in how many texts it is."""

    def __init__(self, texts: Sequence[str]):
        from sklearn.feature_extraction.text import CountVectorizer

        self._n_texts = len(texts)
        self._counter = CountVectorizer(token_pattern=_WORDS, dtype=np.float32)
        try:
            self._counts = self._counter.fit_transform(texts).tocsr()
        except ValueError:  # not one word in all of them
            self._counts = None

    def bm25(self, text: str) -> Values:
        """Okapi BM25 of every text for the words of `text`, `(n_texts,)`, 0 or more. Robertson and Zaragoza 2009."""
        counts = self._counts
        if counts is None:
            return np.zeros(self._n_texts)
        wanted = self._counter.transform([text]).tocsr()
        columns = counts[:, wanted.indices].tocsc()
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths / max(float(lengths.mean()), 1e-9))
        result = np.zeros(counts.shape[0])
        for column in range(columns.shape[1]):
            part = slice(columns.indptr[column], columns.indptr[column + 1])
            texts = columns.indices[part]
            times = columns.data[part]
            rarity = np.log1p((counts.shape[0] - len(texts) + 0.5) / (len(texts) + 0.5))
            result[texts] += rarity * times * (SATURATION + 1) / (times + norm[texts])
        return result


def shared_words(one: str, other: str) -> float:
    """Share of the words of both texts that are in both (Jaccard), 0 to 1."""
    first, second = (set(re.findall(_WORDS, text.casefold())) for text in (one, other))
    return len(first & second) / len(first | second) if first | second else 0.0
