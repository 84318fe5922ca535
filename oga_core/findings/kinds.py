"""What kind of sample each one is, with the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.findings import DUPLICATE, NONE
from oga_core.findings.duplicates import near_duplicates
from oga_core.findings.foreign import foreign
from oga_core.findings.image_duplicates import image_duplicates
from oga_core.findings.text_duplicates import text_duplicates
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, Rows, Values, filled, room, strongest_rival
from oga_core.scores.common import canonical_order
from oga_core.scores.ensemble import has_memorised, is_informative, mean_probabilities
from oga_core.scores.estimators.confident import most_confident_class
from oga_core.scores.feature_rows import ScaledRows

MISLABELLED = "likely mislabelled"
AMBIGUOUS = "ambiguous"
STRANGE = "out of distribution"
SUGGESTED_PROBABILITY = "suggested_label_probability"
"""The column of a run's table that holds how likely the suggestion is right."""
KINDS = (MISLABELLED, AMBIGUOUS, DUPLICATE, STRANGE, NONE)

CLOSE = 0.2
PLAUSIBLE = 0.3
"""Two classes are both possible where their probabilities differ by at most the one and reach the other."""


class Ids(Protocol):
    """The ids of the samples, of which few are asked for."""

    def __getitem__(self, row: int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, eq=False)
class Findings:
    """One kind a sample, and the evidence for it, each `(n_samples,)` in the data's order.

    kind: one of `KINDS`. given_label, suggested_label: class indices; the suggested one is the most probable other.
    given_probability, suggested_probability: 0 to 1, by fits that did not see the sample's own label.
    unusualness: minus the decimal logarithm of how often chance sets a sample so far apart from the others, 0 or more.
    duplicate_of: position of a nearly equal sample, -1 without one. duplicate_label: its given label, or -1.
    """

    kind: NDArray[np.object_]
    given_label: Indices
    suggested_label: Indices
    given_probability: Values
    suggested_probability: Values
    unusualness: Values
    duplicate_of: Indices
    duplicate_label: Indices

    def __len__(self) -> int:
        return len(self.kind)

    def sentences(self, class_names: Sequence[str], ids: Ids) -> NDArray[np.object_]:
        """Say why every sample is of its kind, `(n_samples,)`, empty without a finding; like samples share a text."""
        texts = np.full(len(self), "", dtype=object)
        for kind in KINDS[:-1]:
            rows = np.flatnonzero(self.kind == kind)
            alone = kind == DUPLICATE  # each names another sample
            pairs = self.given_label[rows] * len(class_names) + self.suggested_label[rows]
            _, first, group = np.unique(rows if alone else pairs, return_index=True, return_inverse=True)
            said = [self.sentence(row, class_names, ids) for row in rows[first].tolist()]
            texts[rows] = np.array(said, dtype=object)[group]
        return texts

    def sentence(self, i: int, class_names: Sequence[str], ids: Ids) -> str:
        """Say in one sentence why sample `i` is of its kind; how likely it is stands beside it, and in one place."""
        given = class_names[self.given_label[i]]
        other = class_names[self.suggested_label[i]]
        if self.kind[i] == DUPLICATE:
            label = class_names[self.duplicate_label[i]]
            same = "has the same label" if label == given else f"is labelled {label}, this one {given}"
            return f"Nearly the same as {ids[self.duplicate_of[i]]}, which {same}."
        return {
            MISLABELLED: f"Looks like {other} rather than {given}.",
            AMBIGUOUS: f"Could be {given} or {other}.",
            STRANGE: "Unlike most other samples, so what the model makes of it says little.",
            NONE: f"Nothing clear speaks against {given}.",
        }[self.kind[i]]


def find(sketch: GradientSketch) -> Findings:
    """Tell what kind of finding every sample is; raises `OgaError` where the model has no class logits.

    In this order: near-duplicate with another label (see `duplicates`). Out of distribution: foreign (see `foreign`),
    whatever the model says, for it is confident there too. Among images most files of other kinds are found, singly and
    in batches, but not other photographs among photographs; without images only what the middle layers set apart
    (`tests/benchmarks/findings/foreign.py`). Likely mislabelled: confident of another class (see `noise`), well above
    the given one. Near-duplicate with the same label. Ambiguous: the given and another class are about as probable, and
    each has at least 0.3. Rare and yet rightly labelled samples have no kind: distance and confidence told them from
    others no better than chance.
    """
    if sketch.logits is None:
        raise OgaError("Findings need class logits; this model has none. Sort the samples by a score instead.")
    labels = np.asarray(sketch.given_labels)
    rows = np.arange(len(sketch))
    probabilities = mean_probabilities(sketch)
    likely = most_confident_class(probabilities, labels)
    suggested: Indices = np.where((likely >= 0) & (likely != labels), likely, _likeliest_other(probabilities, labels))
    given = probabilities[rows, labels].astype(np.float64)
    other = np.where(suggested == labels, -1, probabilities[rows, suggested]).astype(np.float64)
    gap = other - given
    middle = sketch.middle_features
    is_foreign, unusualness = foreign(
        _features(sketch) if middle is None else middle, sketch.looks, canonical_order(sketch)
    )
    informed = is_informative(sketch)
    duplicate_of = duplicates(sketch)
    duplicate_label = np.where(duplicate_of >= 0, labels[duplicate_of], -1)
    kinds = (DUPLICATE, STRANGE, MISLABELLED, DUPLICATE, AMBIGUOUS, NONE)
    kind = np.select(
        [
            (duplicate_of >= 0) & (duplicate_label != labels),
            is_foreign,
            (likely >= 0) & (likely != labels) & (gap > CLOSE) & informed,
            duplicate_of >= 0,
            (np.abs(gap) <= CLOSE) & (np.minimum(given, other) >= PLAUSIBLE) & informed,
        ],
        [np.int8(place) for place in range(len(kinds) - 1)],
        np.int8(len(kinds) - 1),
    )
    return Findings(
        kind=np.array(kinds, dtype=object)[kind],
        given_label=labels,
        suggested_label=suggested,
        given_probability=given,
        suggested_probability=other,
        unusualness=unusualness,
        duplicate_of=duplicate_of,
        duplicate_label=duplicate_label,
    )


def _likeliest_other(probabilities: Array, labels: Indices) -> Indices:
    """The most probable class beside the given one, `(n_samples,)`; the given one where it is alone."""

    def of(part: slice) -> Indices:
        return strongest_rival(probabilities[part], labels[part])

    return filled(room(len(labels), np.int64), of)


def duplicates(sketch: GradientSketch) -> Indices:
    """Every sample's near-duplicate, -1 without one, `(n_samples,)`: by the look of images and the letters of texts.

    Where neither was kept, by nearly equal features.
    """
    if sketch.thumbnails is not None:
        return image_duplicates(sketch.thumbnails)
    if sketch.signatures is not None:
        return text_duplicates(sketch.signatures)
    return near_duplicates(_features(sketch))[0]


def _features(sketch: GradientSketch) -> Rows:
    """What the samples look like to the model: its last features, or, where it has memorised, middle ones."""
    if has_memorised(sketch) and sketch.middle_features is not None:
        return ScaledRows.of(sketch.middle_features)
    for part in (sketch.view_features, sketch.features, sketch.logits):
        if part is not None:
            return ScaledRows.of(part)
    raise AssertionError("logits are there")
