"""What kind of sample each one is, with the evidence, and what is wrong with the set as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.findings.duplicates import nearest_twins, principal
from oga_core.findings.noise import is_informative, mean_probabilities, most_confident_class
from oga_core.gradient_sketch import Array, GradientSketch
from oga_core.scores.common import canonical_order
from oga_core.scores.estimators.discriminant import standardised
from oga_core.scores.neighbour import distances_to_references
from oga_core.scores.oga import has_memorised

MISLABELLED, AMBIGUOUS, RARE = "likely mislabelled", "ambiguous", "rare but valid"
DUPLICATE, STRANGE, NONE = "near-duplicate", "out of distribution", "none"
KINDS = (MISLABELLED, AMBIGUOUS, RARE, DUPLICATE, STRANGE, NONE)

UNUSUAL, FAR = 2.5, 4.5
"""Distances from other samples, in robust standard deviations of their logarithm, that make a sample rare, strange."""
CLOSE, PLAUSIBLE = 0.2, 0.3
"""Two classes are both possible where their probabilities differ by at most the one and reach the other."""
AXES = 128
"""Distances over all layers are taken on this many principal axes, which keep them within a few per cent."""
MOST_VALUES, FEWEST_SAMPLES = 50, 20
TIMES, SIGMAS = 1.5, 4.0
"""A group is flagged too often from this many times the share of all, when chance would not do it."""


@dataclass(frozen=True, eq=False)
class Findings:
    """One kind a sample, and the evidence for it, each `(n_samples,)` in the data's order.

    kind: one of `KINDS`. given_label, suggested_label: class indices; the suggested one is the most probable other.
    given_probability, suggested_probability: 0 to 1, by fits that did not see the sample's own label.
    unusualness: distance from the other samples, in robust standard deviations; above 2.5 is
        rare, above 4.5 out of distribution.
    twin: position of a nearly equal sample, -1 without one. twin_label: its given label, -1 without one.
    """

    kind: NDArray[np.object_]
    given_label: NDArray[np.int64]
    suggested_label: NDArray[np.int64]
    given_probability: NDArray[np.float64]
    suggested_probability: NDArray[np.float64]
    unusualness: NDArray[np.float64]
    twin: NDArray[np.int64]
    twin_label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)

    def sentence(self, i: int, class_names: Sequence[str], ids: Sequence[object]) -> str:
        """Say in one sentence why sample `i` is of its kind."""
        given, other = class_names[self.given_label[i]], class_names[self.suggested_label[i]]
        here, there = f"{self.given_probability[i]:.0%}", f"{self.suggested_probability[i]:.0%}"
        if self.kind[i] == DUPLICATE:
            label = class_names[self.twin_label[i]]
            same = "has the same label" if label == given else f"is labelled {label}, this one {given}"
            return f"Nearly the same as {ids[self.twin[i]]}, which {same}."
        return {
            MISLABELLED: f"Looks like {other} ({there}) rather than {given} ({here}).",
            AMBIGUOUS: f"Could be {given} ({here}) or {other} ({there}).",
            RARE: f"Unlike most samples, but {given} fits ({here}).",
            STRANGE: f"Unlike all other samples, so what the model makes of it says little ({given}: {here}).",
            NONE: f"Nothing clear speaks against {given} ({here}).",
        }[self.kind[i]]


def find(sketch: GradientSketch) -> Findings:
    """Tell what kind of finding every sample is; raises `OgaError` where the model has no class logits.

    In this order: near-duplicate with another label: a sample has nearly equal features. Out of distribution: far from
    all samples, whatever the model says, for it is confident there too. Likely mislabelled: confident of another class
    (see `noise`), well above the given one. Near-duplicate with the same label. Ambiguous: the given and another class
    are about as probable, and each has at least 0.3. Rare but valid: far from most, and confident of the given class.
    """
    if sketch.logits is None:
        raise OgaError("Findings need class logits; this model has none. Sort the samples by a score instead.")
    labels, rows = np.asarray(sketch.given_labels), np.arange(len(sketch))
    probabilities = mean_probabilities(sketch)
    likely = most_confident_class(probabilities, labels)
    others = probabilities.astype(np.float64)
    others[rows, labels] = -1
    suggested = np.where((likely >= 0) & (likely != labels), likely, others.argmax(axis=1))
    given = probabilities[rows, labels].astype(np.float64)
    gap = others[rows, suggested] - given
    unusual, informed = _unusualness(sketch), is_informative(sketch)
    twin, _ = nearest_twins(_features(sketch))
    twin_label = np.where(twin >= 0, labels[twin], -1)
    kind = np.select(
        [
            (twin >= 0) & (twin_label != labels),
            unusual > FAR,
            (likely >= 0) & (likely != labels) & (gap > CLOSE) & informed,
            twin >= 0,
            (np.abs(gap) <= CLOSE) & (np.minimum(given, others[rows, suggested]) >= PLAUSIBLE) & informed,
            (unusual > UNUSUAL) & (likely == labels) & informed,
        ],
        [DUPLICATE, STRANGE, MISLABELLED, DUPLICATE, AMBIGUOUS, RARE],
        NONE,
    ).astype(object)
    return Findings(
        kind=kind,
        given_label=labels,
        suggested_label=suggested,
        given_probability=given,
        suggested_probability=others[rows, suggested],
        unusualness=unusual,
        twin=twin,
        twin_label=twin_label,
    )


def set_warnings(
    sketch: GradientSketch,
    flagged: NDArray[np.bool_],
    class_names: Sequence[str],
    columns: Mapping[str, Sequence[object]] | None = None,
) -> list[str]:
    """Warnings about the whole set, one sentence each.

    flagged: `(n_samples,)`, what the machine would trim. columns: further columns of the data, `(n_samples,)` each;
    those with few distinct values are groups.
    """
    warnings = list(_model_warnings(sketch)) if sketch.logits is not None else []
    names = np.asarray(class_names, dtype=object)[np.asarray(sketch.given_labels)]
    for value, share in _over_flagged(flagged, names):
        warnings.append(
            f"Class {value}: {share:.0%} flagged, {flagged.mean():.0%} of all. "
            "Its samples may be mislabelled or only hard."
        )
    for column, values in (columns or {}).items():
        for value, share in _over_flagged(flagged, np.asarray(list(map(str, values)), dtype=object)):
            warnings.append(
                f"{column} = {value}: {share:.0%} flagged, {flagged.mean():.0%} of all. "
                "Trimming would thin this group out; look at it before you trim."
            )
    return warnings


def _model_warnings(sketch: GradientSketch) -> Iterator[str]:
    if not is_informative(sketch):
        yield (
            "The model tells nothing about the labels: it agrees with them no more often than chance would. "
            "The scores, the findings and the share to trim mean little."
        )
    elif has_memorised(sketch):
        instead = "middle layers" if sketch.middle_features is not None else "fits that leave out each sample's label"
        yield (
            "The model has memorised its labels, wrong ones too: its own losses and gradients say little here. "
            f"The default score uses {instead} instead; an earlier checkpoint would serve better still."
        )


def _over_flagged(flagged: NDArray[np.bool_], groups: NDArray[np.object_]) -> Iterator[tuple[str, float]]:
    values, group, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    if not 1 < len(values) <= MOST_VALUES:
        return
    shares, overall = np.bincount(group, weights=flagged) / sizes, float(flagged.mean())
    spread = np.sqrt(max(overall * (1 - overall), 1e-12) / sizes)
    over = (sizes >= FEWEST_SAMPLES) & (shares > TIMES * overall) & (shares > overall + SIGMAS * spread)
    for i in np.flatnonzero(over):
        yield str(values[i]), float(shares[i])


def _features(sketch: GradientSketch) -> Array:
    """What the samples look like to the model: its last features, or, where it has memorised, middle ones."""
    if has_memorised(sketch) and sketch.middle_features is not None:
        return standardised(sketch.middle_features)
    for part in (sketch.view_features, sketch.features, sketch.logits):
        if part is not None:
            return standardised(part)
    raise AssertionError("logits are there")


def _unusualness(sketch: GradientSketch) -> NDArray[np.float64]:
    """Distance from the others on all layers: the last ones put what they have never seen among what they know."""
    features = _features(sketch)
    if sketch.middle_features is not None and not has_memorised(sketch):
        features = np.concatenate([features, standardised(sketch.middle_features)], axis=1)
    features = principal(features, count=AXES)
    logs = np.log(np.maximum(distances_to_references(features, canonical_order(sketch), count=10), 1e-12))
    spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    result: NDArray[np.float64] = (logs - np.median(logs)) / max(spread, 1e-12)
    return result
