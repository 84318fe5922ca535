"""MinHash signatures of texts, by which near-duplicates are told. Broder 1997, doi:10.1109/SEQUEN.1997.666900."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

HASHES = 128
"""The share of shingles in common is then estimated to about 0.04."""
SHINGLE = 4
"""Characters: shorter ones are in every text, of longer ones a typing error takes too many."""
LONGEST = 5000
"""Characters of a text that are looked at, so that no text takes more than a few milliseconds."""
Text = str | Sequence[str]


def signatures(texts: Sequence[Text]) -> NDArray[np.uint32]:
    """Smallest values of 128 random hashes over each text's shingles, `(n_samples, 128)`; equal for equal plain texts.

    texts: or pairs of them.
    """
    rng = np.random.default_rng(0)
    factors, terms = (rng.integers(1, 2**63, (HASHES, 1), dtype=np.uint64) for _ in range(2))
    result = np.empty((len(texts), HASHES), dtype=np.uint32)
    for i, text in enumerate(texts):
        shingles = np.array([crc32(shingle) for shingle in _shingles(plain(text))], dtype=np.uint64)
        result[i] = ((factors * shingles + terms) >> np.uint64(32)).min(axis=1)
    return result


def plain(text: Text) -> str:
    """The text in one form of Unicode and small letters, without punctuation, and with single spaces.

    A text of punctuation alone stays as it is.
    """
    whole = text if isinstance(text, str) else " | ".join(text)
    folded = unicodedata.normalize("NFKC", whole[:LONGEST]).casefold()
    words = "".join(letter if letter.isalnum() else " " for letter in folded).split()
    return " ".join(words) or folded.strip()


def _shingles(text: str) -> set[bytes]:
    padded = f" {text} "
    return {padded[i : i + SHINGLE].encode("utf-8", "replace") for i in range(max(len(padded) - SHINGLE + 1, 1))}
