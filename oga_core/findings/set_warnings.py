"""What is wrong with the set as a whole, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Indices
from oga_core.scores.ensemble import agrees, has_memorised, is_informative
from oga_core.scores.language.given_prompt import learnt_by_heart

MOST_VALUES = 50
"""A column with more values than this is no grouping: ids, numbers, free text."""
FEWEST_SAMPLES = 20
"""A share of fewer samples says nothing."""
FEW_OF_A_CLASS = 5
"""Samples of a class, on average, below which a fit without one of them hardly knows the class."""
TIMES = 1.5
SIGMAS = 4.0
"""A group is flagged too often from this many times the share of all, when chance would not do it."""


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
    warnings = list(_model_warnings(sketch) if sketch.logits is not None else _language_warnings(sketch))
    labels = np.asarray(sketch.given_labels) % len(class_names)  # without labels the only name is that of none
    for value, share in _over_flagged(flagged, labels, class_names):
        warnings.append(
            f"Class {value}: {share:.0%} flagged, {flagged.mean():.0%} of all. "
            "Its samples may be mislabelled or only hard."
        )
    return [*warnings, *group_warnings(flagged, columns or {})]


def group_warnings(flagged: NDArray[np.bool_], columns: Mapping[str, Sequence[object]]) -> list[str]:
    """A sentence for each group of samples, by a column's value, of which trimming would take more than of others."""
    return [
        f"{column} = {value}: {share:.0%} flagged, {flagged.mean():.0%} of all. "
        "Trimming would thin this group out; look at it before you trim."
        for column, values in columns.items()
        for value, share in _over_flagged(flagged, *_coded(values))
    ]


def _model_warnings(sketch: GradientSketch) -> Iterator[str]:
    if not is_informative(sketch):
        yield f"{_uninformative(sketch)} The scores, the findings and the share to trim mean little."
    elif has_memorised(sketch):
        instead = "middle layers" if sketch.middle_features is not None else "fits that leave out each sample's label"
        yield (
            "The model has memorised its labels, wrong ones too: its own losses and gradients say little here. "
            f"The default score uses {instead} instead; an earlier checkpoint would serve better still."
        )


def _uninformative(sketch: GradientSketch) -> str:
    """Why nothing is known of the labels: the model agrees with them by chance, or what is known without them does."""
    assert sketch.logits is not None
    predicted = np.asarray(sketch.logits).argmax(axis=1)
    if not agrees(predicted, np.asarray(sketch.given_labels), sketch.n_classes):
        return "The model tells nothing about the labels: it agrees with them no more often than chance would."
    share = float((predicted == sketch.given_labels).mean())
    few = len(sketch.given_labels) / sketch.n_classes < FEW_OF_A_CLASS
    known = "there are too few samples of each class to tell, " if few else ""
    return (
        f"The model agrees with {share:.1%} of the labels, but fits on its features that leave out each sample's label "
        f"agree no more often than chance would: {known}it has learnt its labels by heart, or these are not the "
        "features that its logits come from."
    )


def _language_warnings(sketch: GradientSketch) -> Iterator[str]:
    if sketch.response_lengths is not None and learnt_by_heart(sketch):
        mean = float(np.mean(sketch.losses))
        yield (
            f"The model has learnt its responses by heart, bad ones too (mean loss {mean:.2f}): losses and gradients "
            "say little here; those of earlier checkpoints would say more."
        )


def _coded(values: Sequence[object]) -> tuple[Indices, list[str]]:
    """The place of each value's text among the distinct ones, `(n_samples,)`, and these."""
    names, codes = np.unique(np.asarray(list(map(str, values)), dtype=str), return_inverse=True)
    return codes, names.tolist()


def _over_flagged(flagged: NDArray[np.bool_], group: Indices, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    """The groups of which far more is flagged than of all, in the order of their names, with the share."""
    sizes = np.bincount(group, minlength=len(names))
    if not 1 < np.count_nonzero(sizes) <= MOST_VALUES:
        return
    shares = np.bincount(group, weights=flagged, minlength=len(names)) / np.maximum(sizes, 1)
    overall = float(flagged.mean())
    spread = np.sqrt(max(overall * (1 - overall), 1e-12) / np.maximum(sizes, 1))
    over = (sizes >= FEWEST_SAMPLES) & (shares > TIMES * overall) & (shares > overall + SIGMAS * spread)
    for i in sorted(np.flatnonzero(over).tolist(), key=lambda place: names[place]):
        yield names[i], float(shares[i])
