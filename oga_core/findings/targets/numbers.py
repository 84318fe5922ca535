"""Findings about numbers that a model predicts: which look wrong, how surely, and what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.findings import DUPLICATE, NONE, WRONG_PROBABILITY
from oga_core.findings.duplicates import near_duplicates
from oga_core.findings.targets.mixture import LIKELY, ResidualMixture, residual_mixture
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Indices, Values
from oga_core.samples import number_text
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.regression.witnesses import has_memorised, model_residuals, numbers_of, witnesses

WRONG_VALUE, SLIP = "likely wrong value", "likely decimal slip"
SLIP_NEAR = 3.0
"""A number times or over ten is taken for what was meant where it is so many usual errors from what is expected."""
DIGITS = 4
"""Of a suggestion: what is expected is never known more finely."""
UNINFORMED = 0.05
"""A model that explains less of the numbers' variance tells next to nothing about them."""


def number_findings(sketch: GradientSketch, ids: Sequence[object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns for the run's table and fields for run.json, as `diagnosis.Diagnosis` names them."""
    mixture = mixture_of(sketch)
    suggested, slips = suggested_values(sketch)
    wrong = mixture.probability > LIKELY
    twins = _twins(sketch)
    finding = np.where(wrong & slips, SLIP, np.where(wrong, WRONG_VALUE, NONE)).astype(object)
    finding[(finding == NONE) & (twins >= 0)] = DUPLICATE
    names = np.array([*ids, None], dtype=object)[twins]
    texts = np.array([number_text(value, DIGITS) for value in suggested.tolist()], dtype=object)
    columns = {
        "finding": finding,
        "reason": [_sentence(*parts) for parts in zip(finding, texts, _times_usual(sketch), names, strict=True)],
        "suggested_label": np.where(wrong, texts, ""),
        "twin_id": names,
        WRONG_PROBABILITY: mixture.probability,
    }
    fields = {
        "noise_rate": {"rate": mixture.rate, "low": mixture.low, "high": mixture.high},
        "suggested_trim_fraction": float(wrong.mean()),
        "trim_trial": None,
        "warnings": list(_warnings(sketch)),
    }
    return columns, fields


@once_per_sketch
def mixture_of(sketch: GradientSketch) -> ResidualMixture:
    """How many numbers are wrong and which, by the mean of the fits' residuals over what is usual."""
    numbers = numbers_of(sketch)
    if np.ptp(numbers) == 0:
        return ResidualMixture(0.0, 0.0, 0.0, np.zeros(len(numbers)))
    order = canonical_order(sketch)
    others = np.empty_like(numbers)
    others[order] = numbers[np.random.default_rng(0).permutation(order)]
    return residual_mixture(_scaled(sketch), _scaled(sketch, others - numbers))


def suggested_values(sketch: GradientSketch) -> tuple[Values, NDArray[np.bool_]]:
    """What every number should be, and whether that is itself with the point moved by one place, `(n_samples,)` each.

    Else the mean of what the fits expect that left it out, and left out the numbers that are most likely wrong.
    """
    expected = np.mean([fit.expected for fit in witnesses(sketch)], axis=0)
    usual = np.mean([fit.usual for fit in witnesses(sketch)], axis=0)
    numbers = numbers_of(sketch)
    moved = np.stack([numbers * 10, numbers / 10])
    nearest = moved[np.abs(moved - expected).argmin(axis=0), np.arange(len(numbers))]
    slips = (np.abs(nearest - expected) < SLIP_NEAR * usual) & (np.abs(numbers - expected) > 2 * SLIP_NEAR * usual)
    return np.where(slips, nearest, expected), slips


def _scaled(sketch: GradientSketch, moved: Values | float = 0.0) -> Values:
    """The fits' residuals over what is usual, on average; `moved`: had the numbers been larger by so much."""
    scaled = [(fit.residuals + moved) / fit.usual for fit in witnesses(sketch)]
    return np.asarray(np.mean(scaled, axis=0), dtype=np.float64)


def _times_usual(sketch: GradientSketch) -> list[float]:
    scaled: list[float] = np.abs(_scaled(sketch)).tolist()
    return scaled


def _twins(sketch: GradientSketch) -> Indices:
    rows = sketch.inputs if sketch.inputs is not None else sketch.features
    return np.full(len(sketch), -1) if rows is None else near_duplicates(np.asarray(rows))[0]


def _sentence(finding: str, suggested: str, times: float, twin: object) -> str:
    far = f"{times:,.{0 if times >= 100 else 1}f} times the usual error away from what fits that leave it out expect"
    if finding == SLIP:
        return f"It is {far}; with the decimal point moved by one place it fits: {suggested}."
    if finding == WRONG_VALUE:
        return f"It is {far}, about {suggested}."
    return f"Nearly the same as {twin}." if finding == DUPLICATE else ""


def _warnings(sketch: GradientSketch) -> Iterator[str]:
    if np.ptp(numbers_of(sketch)) == 0:
        same = number_text(float(numbers_of(sketch)[0]), DIGITS)
        yield f"All numbers are {same}: which of them is wrong cannot be told."
        return
    if sketch.outputs is None:
        return  # under a loss of one's own nobody knows what they are
    variance = float(numbers_of(sketch).var())
    explained = 1 - float((model_residuals(sketch) ** 2).mean()) / max(variance, 1e-300)
    if has_memorised(sketch):
        yield (
            "The model has memorised its numbers, wrong ones too: its own residuals say little here. The default score "
            "asks fits on the inputs instead, or on its middle layers; an earlier checkpoint would serve better still."
        )
    elif explained < UNINFORMED:
        yield (
            f"The model explains {max(explained, 0):.0%} of the numbers' variance, next to nothing. What it says of "
            "single samples means little; check that mean and std of the loss in the model card are those of training."
        )
