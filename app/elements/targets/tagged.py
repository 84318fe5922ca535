"""Sentences whose words have tags: what a preview draws of them, and what one key takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oga_app import cache
from oga_core.findings import LIKELY
from oga_core.runs.scored import ScoredRun
from oga_core.samples import labels_of, labels_text
from oga_core.scores.tagging.word_scores import Doubt


def shown(data: ScoredRun, row: int, words: Sequence[str]) -> dict[str, Any]:
    """What a preview has of a sentence beside its words, and the tags that it proposes; empty for other samples."""
    given = labels_of(data.given_text(row) or "")
    if data.target != "tags" or len(words) != len(given):
        return {}
    names = data.info.label_names
    marked = doubts(data, row)
    return {
        "tags": {
            "words": words,
            "given": given,
            "doubts": [(doubt.place, names[doubt.suggested], round(doubt.probability, 4)) for doubt in marked],
        },
        "predicted": proposal(data, row),
    }


def proposal(data: ScoredRun, row: int) -> str:
    """The tags with the likeliest others in place of those of the doubtful words, as one text."""
    tags = labels_of(data.given_text(row) or "")
    for doubt in doubts(data, row):
        tags[doubt.place] = data.info.label_names[doubt.suggested]
    return labels_text(tags)


def doubts(data: ScoredRun, row: int) -> list[Doubt]:
    """The words of a sentence whose tags look wrong, the most suspicious first: at least one."""
    words = sorted(cache.evidence(data).doubts(row), key=lambda doubt: -doubt.score)
    return words[:1] + [doubt for doubt in words[1:] if doubt.probability > LIKELY]
