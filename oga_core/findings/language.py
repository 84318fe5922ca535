"""Findings about the rows of a language model: what is unusual, given the prompt, and what is there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.findings import DUPLICATE, NONE
from oga_core.findings.duplicates import near_duplicates
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices
from oga_core.scores.language.given_prompt import PARTS, share_below
from oga_core.scores.language.residuals import unit_rows

ANSWERED_TWICE = "same prompt, another response"
_TWICE = {
    DUPLICATE: "Nearly the same prompt and response as {}. ",
    ANSWERED_TWICE: "{} answers the same prompt otherwise. ",
}
UNUSUAL = 0.05
"""A part is named where it lies above all but this share of the rows: as many as are flagged unasked."""
_WORDS = {
    "loss": "it is less likely than its prompt lets expect (loss {loss:.2f}, {rank})",
    "end": "it ends where the model expects it to go on ({rank})",
    "response": "it is unlike the responses to such prompts ({rank})",
    "new tokens": "it has more words that are not in its prompt than such responses have ({rank})",
    "length": "it is longer or shorter than the responses to such prompts ({rank})",
}
"""What each part of the default score says of a response."""


def language_findings(sketch: GradientSketch, ids: Sequence[object]) -> dict[str, Any]:
    """Columns for the run's table, one value a row: finding, reason (one or two sentences, or none) and twin_id.

    Near-duplicates are told by the model's states of prompt and response, so that other numbers are another prompt.
    """
    whole = _twins(sketch, with_response=True)
    prompt = _twins(sketch, with_response=False)
    twins = np.where(whole >= 0, whole, prompt)
    finding = np.where(whole >= 0, DUPLICATE, np.where(prompt >= 0, ANSWERED_TWICE, NONE)).astype(object)
    reasons = [
        _TWICE.get(kind, "").format(ids[twin]) + unusual
        for kind, twin, unusual in zip(finding, twins, unusual_parts(sketch), strict=True)
    ]
    return {
        "finding": finding,
        "reason": [reason.strip() for reason in reasons],
        "twin_id": [ids[twin] if twin >= 0 else None for twin in twins],
    }


def _twins(sketch: GradientSketch, *, with_response: bool) -> Indices:
    """Every row's near-duplicate by its prompt, or by prompt and response, -1 without one, `(n_samples,)`."""
    states: list[Floats | None] = [sketch.prompt_means, sketch.prompt_states]
    states += [sketch.response_means] if with_response else []
    twins, _ = near_duplicates(np.concatenate([unit_rows(part) for part in states if part is not None], axis=1))
    return twins


def unusual_parts(sketch: GradientSketch) -> list[str]:
    """Which of the default score's parts stand out, one sentence a row, empty where none does."""
    shares = {name: share_below(part(sketch, seed=0)) for name, part in PARTS.items()}
    losses = np.asarray(sketch.losses)
    return [
        _sentence(float(loss), {name: float(share[row]) for name, share in shares.items()})
        for row, loss in enumerate(losses)
    ]


def _sentence(loss: float, shares: dict[str, float]) -> str:
    parts = [
        _WORDS[name].format(loss=loss, rank=f"more than {int(100 * share)}\u00a0% of the rows")
        for name, share in shares.items()
        if share >= 1 - UNUSUAL
    ]
    return f"The response stands out: {'; '.join(parts)}." if parts else ""
