"""Findings about masks: which are likely wrong, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.findings import LIKELY, NONE, WRONG_PROBABILITY
from oga_core.findings.targets.mixture import ResidualMixture, residual_mixture
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Indices, Values
from oga_core.samples import MODEL_MASK
from oga_core.scores.common import once_per_sketch
from oga_core.scores.segmentation.evidence import WrongMasks, doubtful_masks, wrong_masks

WRONG_MASK = "likely wrong mask"
MOST = 0.5
"""Wrong masks are the fewer: a model learns what is usual from the others."""
_DOWN = ("at the top", "in the middle", "at the bottom")
_ACROSS = ("on the left", "in the middle", "on the right")


def mask_findings(sketch: GradientSketch, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns for the run's table and fields for run.json, as `diagnosis.Diagnosis` names them.

    names: of the classes. suggested_label: the model's mask where the given one is likely wrong.
    """
    judged = wrong_masks(sketch)
    mixture = _mixture(sketch)
    probability = wrong_mask_probability(sketch)
    wrong = probability > LIKELY
    columns = {
        "finding": np.where(wrong, WRONG_MASK, NONE).astype(object),
        "reason": [_sentence(judged, i, names) if doubt else "" for i, doubt in enumerate(wrong.tolist())],
        "suggested_label": np.where(wrong, MODEL_MASK, "").astype(object),
        WRONG_PROBABILITY: probability,
    }
    fields = {
        "noise_rate": {"rate": mixture.rate, "low": mixture.low, "high": max(mixture.rate, min(mixture.high, MOST))},
        "suggested_trim_fraction": float(wrong.mean()),
        "trim_trial": None,
        "warnings": [],
    }
    return columns, fields


def wrong_mask_probability(sketch: GradientSketch) -> Values:
    """The probability that each mask is wrong, `(n_samples,)`, which rises with its score.

    By a mixture of what is usual for a score and of others, whose part below the middle is no fault.
    """
    score = doubtful_masks(sketch)
    above = np.where(score > np.median(score), _mixture(sketch).probability, 0.0)
    order = np.argsort(score, kind="stable")
    result: Values = np.empty_like(above)
    result[order] = np.maximum.accumulate(above[order])
    return result


@once_per_sketch
def _mixture(sketch: GradientSketch) -> ResidualMixture:
    score = doubtful_masks(sketch)
    return residual_mixture(score - np.median(score))


def _sentence(judged: WrongMasks, i: int, names: Sequence[str]) -> str:
    down, across = (_third(place, side) for place, side in zip(judged.place[i], judged.shape, strict=True))
    where = "in the middle" if (down, across) == (1, 1) else f"{_DOWN[down]}, {_ACROSS[across]}"
    name = names[judged.classes[i]] if judged.classes[i] >= 0 else ""
    what = f"what the mask calls {name!r} " if name else ""
    return (
        f"The model differs most from {what}{where}: the loss there is {judged.loss[i]:.1f}, "
        f"where {judged.usual[i]:.1f} is usual."
    )


def _third(place: np.integer[Any] | Indices, side: int) -> int:
    return min(2, int(3 * int(place) / side))
