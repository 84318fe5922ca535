"""How likely each word's tag is wrong, by the model, by fits that did not see the tag, and by the word itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, Values, softmax
from oga_core.scores.common import once_per_sketch
from oga_core.scores.tagging.counts import left_out_counts

TELLING = 0.25
"""Share of what the best member tells of the tags from which another counts in full, as in the ensemble for classes."""
LEAST = 1e-4
"""Probabilities nearer to 0 or 1 than this are rounding, not knowledge."""


@dataclass(frozen=True, eq=False)
class TaggedWords:
    """All words of all sentences, one after the other.

    spans: `(n_samples, 2)` where each sentence's words begin and end among them. places: `(n_words,)` of each word in
    its sentence. tags: `(n_words,)` class indices, as given.
    """

    spans: Indices
    places: Indices
    tags: Indices
    forms: Indices
    logits: Array
    features: Array | None
    middle: Array | None

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def n_classes(self) -> int:
        return int(self.logits.shape[1])

    @classmethod
    def of(cls, sketch: GradientSketch) -> TaggedWords:
        """Read the words of a sketch in the order of its samples."""
        assert sketch.words is not None, "only asked for models that tag words"
        assert sketch.word_spans is not None, "only asked for models that tag words"
        records = sketch.words.of(sketch.word_spans)
        stops = np.cumsum(sketch.word_spans[:, 1] - sketch.word_spans[:, 0])
        spans = np.stack([np.concatenate([[0], stops[:-1]]), stops], axis=1)
        return cls(
            spans=spans.astype(np.int64),
            places=records["place"].astype(np.int64),
            tags=records["tag"].astype(np.int64),
            forms=records["form"],
            logits=records["logits"],
            features=_part(records, "features"),
            middle=_part(records, "middle"),
        )


def _part(records: NDArray[np.void], name: str) -> Array | None:
    return records[name].astype(np.float32) if name in (records.dtype.names or ()) else None


@dataclass(frozen=True, eq=False)
class WrongTags:
    """What is known of each word's tag, `(n_words,)` each.

    score: mean odds that it is wrong. likely: `(n_words, n_classes)` mean probabilities of the tags. suggested: the
    most likely other tag. words: what all of this is of.
    """

    words: TaggedWords
    score: Values
    likely: Values
    suggested: Indices

    def of_sentences(self, values: Values) -> Values:
        """The largest of the values of each sentence's words, `(n_samples,)`."""
        result: Values = np.maximum.reduceat(values, self.words.spans[:, 0])
        return result


@once_per_sketch
def wrong_tags(sketch: GradientSketch) -> WrongTags:
    """Judge every word of a sketch."""
    words = TaggedWords.of(sketch)
    members = list(members_of(words).values())
    rows = np.arange(len(words))
    odds = [odds_of(part[rows, words.tags]) for part in members]
    scaled = [part / max(float(part.std()), 1e-12) for part in odds]
    score = np.average(scaled, axis=0, weights=weights_of(members, words.tags))
    mean = np.mean(members, axis=0)
    others = mean.copy()
    others[rows, words.tags] = -1
    return WrongTags(words, score, mean, others.argmax(axis=1))


def doubtful_tags(sketch: GradientSketch) -> Values:
    """The largest odds that one of a sentence's tags is wrong, `(n_samples,)`.

    The odds of each word are the mean, each over its own spread, of four: the model's, those of heads trained on its
    last and on its middle features that did not see the word's own tag, and those of the tags that the same word has
    elsewhere. One that tells much less of the tags than the others counts for less.
    """
    judged = wrong_tags(sketch)
    return judged.of_sentences(judged.score)


def members_of(words: TaggedWords) -> dict[str, Values]:
    """Probabilities of the tags by every member, `(n_words, n_classes)` each.

    model: its own. last, middle: of heads on its features that did not see the word's tag. counts: of the same word.
    """
    from oga_core.scores.heads import held_out_logits  # only tags need them here, and chains of imports stay short

    order = np.lexsort((words.logits.sum(axis=1), words.logits[:, 0], words.forms, words.tags))
    logits = {"model": words.logits}
    for name, features in (("last", words.features), ("middle", words.middle)):
        if features is not None:
            logits[name] = held_out_logits(features, words.tags, words.n_classes, order)
    members = {name: softmax(part).astype(np.float64) for name, part in logits.items()}
    return {**members, "counts": left_out_counts(words.forms, words.tags, words.n_classes)}


def weights_of(members: list[Values], tags: Indices) -> list[float]:
    """What each member counts: 1, or less where it tells much less of the tags than the one that tells most.

    Where most words stand there once, the tags of the same word tell less than the shares of all tags do.
    """
    rows = np.arange(len(tags))
    shares = np.bincount(tags, minlength=members[0].shape[1]) / len(tags)
    known = float(np.log(shares[tags]).mean())
    gains = [float(np.log(np.maximum(part[rows, tags], LEAST)).mean()) - known for part in members]
    enough = TELLING * max(*gains, 1e-12)
    return [float(np.clip(gain / enough, 1e-6, 1)) for gain in gains]


def odds_of(given: Values) -> Values:
    """Log odds against something of this probability."""
    p = np.clip(given, LEAST, 1 - LEAST)
    odds: Values = np.log1p(-p) - np.log(p)
    return odds
