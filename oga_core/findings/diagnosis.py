"""What the scores and arrays of a run mean for a person: findings, the noise rate, and warnings about the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.findings import WRONG_PROBABILITY
from oga_core.findings.kinds import SUGGESTED_PROBABILITY, Ids, find
from oga_core.findings.language import language_findings
from oga_core.findings.noise import estimate_noise, least_moved, suggested_trim_fraction, wrong_label_probability
from oga_core.findings.set_warnings import group_warnings, set_warnings
from oga_core.findings.targets.labels import label_findings
from oga_core.findings.targets.masks import mask_findings
from oga_core.findings.targets.numbers import number_findings
from oga_core.findings.targets.tags import tag_findings
from oga_core.findings.trim_trial import try_trim
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import span
from oga_core.scores.ensemble import held_out_probabilities
from oga_core.threshold.ranked import RankedScores

_FALLBACK_FRACTION = 0.1
_NOTHING_TO_TRIM = (
    "No share is suggested to trim: wrong labels can't be told from ambiguous samples here, or there are too few "
    "({share} may be wrong). Review the most suspicious samples instead."
)


@dataclass(frozen=True)
class Diagnosis:
    """Columns for the run's table, one value a sample, and fields for run.json.

    columns: finding, reason (one sentence, empty without a finding), suggested_label, suggested_label_probability (its
    part of the probability that the given one is wrong), twin_id, and wrong_label_probability where the evidence tells
    something. fields: noise_rate with its interval,
    suggested_trim_fraction, trim_trial (what trimming it gains over a random trim; None where that could not be tried),
    warnings.
    """

    columns: dict[str, Any]
    fields: dict[str, Any]


def diagnose(
    sketch: GradientSketch,
    score: NDArray[np.float64],
    *,
    class_names: Sequence[str],
    ids: Ids,
    groups: Mapping[str, Sequence[object]],
    seed: int = 0,
    given: Sequence[str] = (),
) -> Diagnosis:
    """Say what kind of finding every sample is and how many labels are wrong.

    score: `(n_samples,)`, the default score, which decides what counts as flagged in the warnings.
    groups: further columns of the data with few distinct values. given: the labels as text, for tags of words. Rows of
    a language model have no classes: of them it says what is unusual given the prompt and what is there twice, and
    claims no noise rate; nor does it under a loss of one's own over classes or vectors, of which nobody knows what a
    wrong label does to it.
    """
    if sketch.words is not None:
        return _of_targets(tag_findings(sketch, class_names, given), score, groups)
    if sketch.region_kinds is not None:
        return _of_targets(mask_findings(sketch, class_names), score, groups)
    if sketch.given_flags is not None:
        return _of_targets(label_findings(sketch, class_names, list(ids)), score, groups)
    if sketch.targets is not None:
        return _of_targets(number_findings(sketch, list(ids)), score, groups)
    if sketch.logits is None:
        flagged = _flagged(score, _FALLBACK_FRACTION)
        unusual = {} if sketch.prompt_states is None else language_findings(sketch, list(ids))
        return Diagnosis(unusual, {"warnings": set_warnings(sketch, flagged, class_names or [""], groups)})
    noise = estimate_noise(sketch)
    trim_fraction = suggested_trim_fraction(sketch, score)
    findings = find(sketch)
    twins = np.full(len(sketch), None, dtype=object)
    for row in np.flatnonzero(findings.duplicate_of >= 0).tolist():
        twins[row] = ids[int(findings.duplicate_of[row])]
    columns: dict[str, Any] = {
        "finding": findings.kind,
        "reason": findings.sentences(class_names, ids),
        "suggested_label": np.asarray(class_names, dtype=object)[findings.suggested_label],
        SUGGESTED_PROBABILITY: findings.suggested_probability,
        "twin_id": twins,
    }
    probability = wrong_label_probability(sketch, score, noise.middle)
    if probability is not None:
        columns[WRONG_PROBABILITY] = probability
        others = np.maximum(1 - findings.given_probability, findings.suggested_probability)
        columns[SUGGESTED_PROBABILITY] = probability * findings.suggested_probability / np.maximum(others, 1e-12)
    moved = least_moved(held_out_probabilities(sketch), np.asarray(sketch.given_labels))
    trial = try_trim(sketch, RankedScores(score).flagged(trim_fraction), moved, seed=seed)
    warnings = set_warnings(sketch, _flagged(score, trim_fraction or noise.rate), class_names, groups)
    if trial is not None and (said := trial.sentence(trim_fraction)):
        warnings.append(said)
        trim_fraction = 0.0 if trial.harms else trim_fraction
    elif not trim_fraction:
        warnings.append(_NOTHING_TO_TRIM.format(share=span(noise.low, noise.high, "{:.0%}".format)))
    fields = {
        "noise_rate": {"rate": noise.rate, "low": noise.low, "high": noise.high},
        "suggested_trim_fraction": trim_fraction,
        "trim_trial": trial.as_json() if trial is not None else None,
        "warnings": warnings,
    }
    return Diagnosis(columns, fields)


def _of_targets(
    found: tuple[dict[str, Any], dict[str, Any]], score: NDArray[np.float64], groups: Mapping[str, Sequence[object]]
) -> Diagnosis:
    columns, fields = found
    flagged = _flagged(score, fields["suggested_trim_fraction"] or _FALLBACK_FRACTION)
    return Diagnosis(columns, {**fields, "warnings": [*fields["warnings"], *group_warnings(flagged, groups)]})


def _flagged(score: NDArray[np.float64], trim_fraction: float) -> NDArray[np.bool_]:
    flagged = np.zeros(len(score), dtype=bool)
    flagged[RankedScores(score).flagged(trim_fraction)] = True
    return flagged
