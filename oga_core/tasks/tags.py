"""Sentences whose words have a tag each, as parts of speech and entities, by a Hugging Face tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.losses import UNCOUNTED
from oga_core.tasks.task import Batch, tokenized
from oga_core.tasks.text import TextTask


@dataclass(frozen=True)
class TagTask(TextTask):
    """Token ids of words; the first piece of each word has its tag, all others do not count, as in `run_ner`.

    The loss of a sentence is the mean over its words. Words beyond `max_length` tokens are cut off and have no score.
    """

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the sentences at `rows`; labels, word_places and word_forms are `(batch, time)`.

        word_places: which word of the sentence begins at a token, -1 for none. word_forms: a hash of that word.
        """
        sentences = [samples.inputs[int(row)].words for row in rows]
        padding = "max_length" if self.fixed_length else "longest"
        tokens = tokenized(
            self.tokenizer,
            [list(words) for words in sentences],
            is_split_into_words=True,
            padding=padding,
            truncation=True,
            max_length=self.max_length,
        )
        places = _first_pieces(tokens, len(sentences))
        if not (places >= 0).any(axis=1).all():
            raise UnreadableSample("none of its words has a token")
        assert samples.tags is not None, "the card reads the labels as tags"
        labels = np.full(places.shape, UNCOUNTED)
        forms = np.zeros(places.shape, dtype=np.int64)
        for i, row in enumerate(rows):
            begins = places[i] >= 0
            labels[i, begins] = samples.tags[row][places[i, begins]]
            forms[i, begins] = [form_of(sentences[i][place]) for place in places[i, begins]]
        arrays = {"labels": labels, "word_places": places, "word_forms": forms}
        return {**tokens.convert_to_tensors("pt"), **{name: torch.from_numpy(part) for name, part in arrays.items()}}


def _first_pieces(tokens: Any, n_sentences: int) -> NDArray[np.int64]:
    """The word that begins at each token, `(n_sentences, time)`, -1 for none."""
    if not getattr(tokens, "is_fast", False):
        raise OgaError(
            "The tokenizer cannot tell which word a token is of. Save a fast tokenizer with the model: "
            "AutoTokenizer.from_pretrained(name, use_fast=True).save_pretrained(folder)."
        )
    return np.array([_begins(tokens.word_ids(i)) for i in range(n_sentences)], dtype=np.int64)


def _begins(words: Sequence[int | None]) -> list[int]:
    before = [None, *words]
    return [-1 if word is None or word == last else word for word, last in zip(words, before, strict=False)]


def form_of(word: str) -> int:
    """A number for a word as it is written, the same in every process, 0 to 2^63."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1
