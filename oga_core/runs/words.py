"""What a run found, in plain sentences: how many labels look wrong, where, and how sure the first ones are."""

from __future__ import annotations

import unicodedata

import numpy as np

from oga_core.numerics import Indices, span
from oga_core.runs.counts import class_shares
from oga_core.runs.scored import ScoredRun

FIRST = 100
"""The most suspicious, which a person looks at first; fewer where fewer are flagged."""
CERTAIN = 0.99
"""No label is told to be wrong beyond this: people err too."""
PAIRS = 2
"""Of classes that are named: more would be a table."""

PER_CENT = "\u00a0%"

LABELS = {
    "class": "labels",
    "number": "numbers",
    "labels": "lists of labels",
    "tags": "lists of tags",
    "vector": "values",
    "mask": "masks",
}
"""What the samples of a run have, by its target."""
LABEL = {
    "class": "label",
    "number": "value",
    "labels": "list of labels",
    "tags": "list of tags",
    "vector": "list of values",
    "mask": "mask",
}
"""What one sample has."""


def result_in_words(data: ScoredRun, score: str = "", flagged_count: int | None = None) -> list[str]:
    """Return the sentences; what is not known is left out, so a run of a language model has few.

    score, flagged_count: by which score how many are flagged, where a person chose; else as the run suggests.
    """
    ranked = data.ranked(score or data.default_score)
    count = ranked.count(data.trim_fraction()) if flagged_count is None else flagged_count
    order = data.order(score or data.default_score)
    flagged = order[:count]
    sentences = [_noise(data), f"{len(flagged):,} of {len(data):,} samples are flagged."]
    if data.classes and 0 < len(flagged) < len(data):
        sentences += [_worst_class(data, flagged), _pairs(data, flagged)]
    if data.wrong_probability is not None:
        first = order[: min(FIRST, len(flagged) or FIRST)]
        chance = min(float(data.wrong_probability[first].mean()), CERTAIN)
        sentences.append(
            f"The {LABELS[data.target]} of the first {len(first):,} are {100 * chance:.0f}\u00a0% likely wrong."
        )
    return [sentence for sentence in sentences if sentence]


def _noise(data: ScoredRun) -> str:
    noise = data.info.noise_rate
    if noise is None:
        return ""
    what = LABELS[data.target]
    rate, low, high = (100 * share for share in (noise.rate, noise.low, noise.high))
    if not round(high):
        return f"Fewer than 1{PER_CENT} of the {what} look wrong."
    if round(rate):
        ends = f" ({span(low, high, unit=PER_CENT)})" if round(low) != round(high) else ""
        return f"About {rate:.0f}{PER_CENT} of the {what} look wrong{ends}."
    is_told = low or data.wrong_probability is not None  # evidence that tells nothing rules nothing out
    return f"At most {high:.0f}{PER_CENT} of the {what} look wrong." if is_told else ""


def _worst_class(data: ScoredRun, flagged: Indices) -> str:
    shares = class_shares(data.given, len(data.classes), flagged)
    code = shares["class"].tolist()[0]
    share = shares["share"].tolist()[0]
    return f"Worst is {_name(data, code)}: {share:.0f}\u00a0% of its samples are flagged."


def _pairs(data: ScoredRun, flagged: Indices) -> str:
    """Which classes the flagged are most often given for which."""
    suggested = data.suggestions[flagged]
    known = suggested >= 0
    n_classes = len(data.classes)
    pairs, counts = np.unique(data.given[flagged][known] * n_classes + suggested[known], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:PAIRS]
    names = [
        f"{_name(data, int(pairs[i]) // n_classes)} that looks like {_name(data, int(pairs[i]) % n_classes)} "
        f"({counts[i]:,})"
        for i in top
    ]
    return f"Most often: {', '.join(names)}." if names else ""


def _name(data: ScoredRun, code: int) -> str:
    """A class's name, kept together where it is written from right to left: else it moves what stands beside it."""
    name = data.class_name(code)
    is_leftwards = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    return f"\u2068{name}\u2069" if is_leftwards else name
