"""What a run found, in plain sentences: how many labels look wrong, where, and how sure the first ones are."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Indices
from oga_core.runs.counts import class_shares
from oga_core.runs.scored import ScoredRun

FIRST = 100
"""The most suspicious, which a person looks at first; fewer where fewer are flagged."""
CERTAIN = 0.99
"""No label is told to be wrong beyond this: people err too."""
PAIRS = 2
"""Of classes that are named: more would be a table."""

LABELS = {
    "class": "labels",
    "number": "numbers",
    "labels": "lists of labels",
    "tags": "lists of tags",
    "vector": "values",
    "mask": "masks",
}
"""What the samples of a run have, by its target."""


def result_in_words(data: ScoredRun) -> list[str]:
    """Return the sentences; what is not known is left out, so a run of a language model has few."""
    flagged = data.ranked(data.default_score).flagged(data.trim_fraction())
    sentences = [_noise(data), f"{len(flagged):,} of {len(data):,} samples are flagged."]
    if data.classes and len(flagged):
        sentences += [_worst_class(data, flagged), _pairs(data, flagged)]
    if data.wrong_probability is not None:
        first = data.order(data.default_score)[: min(FIRST, len(flagged) or FIRST)]
        chance = min(float(data.wrong_probability[first].mean()), CERTAIN)
        sentences.append(
            f"The {LABELS[data.target]} of the first {len(first):,} are {100 * chance:.0f}\u00a0% likely wrong."
        )
    return [sentence for sentence in sentences if sentence]


def _noise(data: ScoredRun) -> str:
    noise = data.info.noise_rate
    if noise is None:
        return ""
    rate, low, high = (f"{100 * share:.0f}\u00a0%" for share in (noise.rate, noise.low, noise.high))
    return f"About {rate} of the {LABELS[data.target]} look wrong ({low} to {high})."


def _worst_class(data: ScoredRun, flagged: Indices) -> str:
    shares = class_shares(data.given, len(data.classes), flagged)
    code = shares["class"].tolist()[0]
    share = shares["share"].tolist()[0]
    return f"Worst is {data.class_name(code)}: {share:.0f}\u00a0% of its samples are flagged."


def _pairs(data: ScoredRun, flagged: Indices) -> str:
    """Which classes the flagged are most often given for which."""
    suggested = data.suggestions[flagged]
    known = suggested >= 0
    n_classes = len(data.classes)
    pairs, counts = np.unique(data.given[flagged][known] * n_classes + suggested[known], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:PAIRS]
    names = [
        f"{data.class_name(int(pairs[i]) // n_classes)} that looks like {data.class_name(int(pairs[i]) % n_classes)} "
        f"({counts[i]:,})"
        for i in top
    ]
    return f"Most often: {', '.join(names)}." if names else ""
