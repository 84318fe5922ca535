"""Findings about several labels a sample: which are likely missing, and which are likely there by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.findings import LIKELY, NONE, WRONG_PROBABILITY
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import NORMAL_90, Values
from oga_core.samples import labels_text
from oga_core.scores.multilabel.evidence import labels_of, wrong_labels

MISSING, EXTRA = "likely missing label", "likely wrong label"
_NAMED = 4


def label_findings(
    sketch: GradientSketch, names: Sequence[str], ids: Sequence[object]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns for the run's table and fields for run.json, as `diagnosis.Diagnosis` names them.

    names: of the labels. suggested_label: all labels that a sample should have, as one text.
    """
    rates = wrong_labels(sketch)
    given = labels_of(sketch) > 0
    wrong = rates.probability > LIKELY
    some = wrong.any(axis=1)
    worst = rates.probability.argmax(axis=1)
    added = given[np.arange(len(given)), worst]
    suggested = [labels_text(names[k] for k in np.flatnonzero(row).tolist()) for row in given ^ wrong]
    columns = {
        "finding": np.where(~some, NONE, np.where(added, EXTRA, MISSING)).astype(object),
        "reason": [_sentence(*row, names) for row in zip(rates.probability, given, wrong, strict=True)],
        "suggested_label": np.where(some, np.array(suggested, dtype=object), ""),
        WRONG_PROBABILITY: rates.probability.max(axis=1),
    }
    per_sample = 1 - np.prod(1 - rates.probability, axis=1)
    rate = float(per_sample.mean())
    chance = NORMAL_90 * float(np.sqrt(rate * (1 - rate) / len(given)))
    fields = {
        "noise_rate": {"rate": rate, "low": max(rate - chance, 0.0), "high": min(rate + chance, 1.0)},
        "suggested_trim_fraction": float(some.mean()),
        "trim_trial": None,
        "warnings": [],
    }
    return columns, fields


def _sentence(probability: Values, given: Any, wrong: Any, names: Sequence[str]) -> str:
    parts = [
        f"'{names[k]}' {'does not belong' if given[k] else 'is missing'} ({100 * probability[k]:.0f}\u00a0%)"
        for k in sorted(np.flatnonzero(wrong).tolist(), key=lambda k: -probability[k])[:_NAMED]
    ]
    return f"Likely: {', '.join(parts)}." if parts else ""
