"""Findings about sentences whose words have tags: which words' tags are likely wrong, and what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.findings import LIKELY, NONE, WRONG_PROBABILITY
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import NORMAL_90, Indices, Values
from oga_core.samples import labels_of, labels_text
from oga_core.scores.common import once_per_sketch
from oga_core.scores.estimators.calibration import wrong_at_rate
from oga_core.scores.tagging.evidence import TaggedWords, WrongTags, wrong_tags

WRONG_TAG = "likely wrong tag"
_NAMED = 3


def tag_findings(
    sketch: GradientSketch, names: Sequence[str], given: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns for the run's table and fields for run.json, as `diagnosis.Diagnosis` names them.

    names: of the tags. given: all tags of each sentence as one text; suggested_label is the same with other tags where
    the given ones are likely wrong.
    """
    judged = wrong_tags(sketch)
    probability = wrong_tag_probability(sketch)
    doubtful = probability > LIKELY
    chance = judged.of_sentences(probability)
    some = chance > LIKELY
    texts = retagged(judged.words, judged.suggested, doubtful, names, given)
    columns = {
        "finding": np.where(some, WRONG_TAG, NONE).astype(object),
        "reason": [
            _sentence(judged, probability, span, names) if doubt else ""
            for span, doubt in zip(judged.words.spans, some, strict=True)
        ],
        "suggested_label": np.where(some, np.array(texts, dtype=object), ""),
        WRONG_PROBABILITY: chance,
    }
    right = np.add.reduceat(np.log1p(-np.minimum(probability, 1 - 1e-9)), judged.words.spans[:, 0])
    rate = float((1 - np.exp(right)).mean())
    error = NORMAL_90 * float(np.sqrt(rate * (1 - rate) / len(some)))
    share = float(probability.mean())
    fields = {
        "noise_rate": {"rate": rate, "low": max(rate - error, 0.0), "high": min(rate + error, 1.0)},
        "suggested_trim_fraction": float(some.mean()),
        "trim_trial": None,
        "warnings": [
            f"About {share:.1%} of the {len(judged.words):,} tags look wrong, which is in {rate:.0%} of the sentences."
        ],
    }
    return columns, fields


@once_per_sketch
def wrong_tag_probability(sketch: GradientSketch) -> Values:
    """The probability that each word's tag is wrong, `(n_words,)`, which rises with the word's score.

    Its mean is the share of the tags that all evidence together contradicts. The confident joint of other findings
    would count most words as wrong where one tag is given to nearly all of them.
    """
    judged = wrong_tags(sketch)
    tags = judged.words.tags
    rate = float((judged.likely.argmax(axis=1) != tags).mean())
    if not 0 < rate < 1:
        return np.full(len(tags), rate)
    return wrong_at_rate(judged.likely[np.arange(len(tags)), tags], judged.score, rate)


def predicted_tags(sketch: GradientSketch, names: Sequence[str], given: Sequence[str]) -> list[str]:
    """What the model predicts for each sentence, as one text; words that it did not see keep their tags."""
    words = TaggedWords.of(sketch)
    return retagged(words, words.logits.argmax(axis=1), np.ones(len(words), dtype=bool), names, given)


def retagged(words: TaggedWords, tags: Indices, chosen: Any, names: Sequence[str], given: Sequence[str]) -> list[str]:
    """The tags of each sentence as one text, with those of the chosen words in place of the given ones.

    tags: `(n_words,)` class indices. chosen: `(n_words,)` of bool. given: the texts as they are.
    """
    texts = []
    for text, (start, stop) in zip(given, words.spans.tolist(), strict=True):
        parts = labels_of(text)
        for word in range(start, stop):
            if chosen[word]:
                parts[words.places[word]] = names[tags[word]]
        texts.append(labels_text(parts))
    return texts


def _sentence(judged: WrongTags, probability: Values, span: Indices, names: Sequence[str]) -> str:
    words = np.arange(*span.tolist())
    worst = words[np.argsort(-judged.score[words], kind="stable")][:_NAMED]
    parts = [
        f"word {judged.words.places[word] + 1} is tagged {names[judged.words.tags[word]]}, "
        f"{names[judged.suggested[word]]} is likelier ({100 * probability[word]:.0f}\u00a0%)"
        for word in worst.tolist()
        if probability[word] > LIKELY
    ]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
