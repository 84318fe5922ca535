"""The labels of a run as a training takes them: class indices, numbers, lists of flags or numbers, or whose mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Indices
from oga_core.retrain.masks import GIVEN, PREDICTED
from oga_core.samples import BETWEEN, MODEL_MASK, OWN, is_number, labels_of

if TYPE_CHECKING:
    from oga_core.runs.info import RunInfo
    from oga_core.runs.scored import ScoredRun

TRAINABLE = ("number", "labels", "vector", "mask")
"""What samples may be labelled with beside classes."""
ABSOLUTE_ERROR, MEAN_LOSS = "mean absolute error", "mean loss"


def measure(info: RunInfo) -> str:
    """What the trainings of a run without class logits are judged by."""
    return ABSOLUTE_ERROR if info.target == "number" and info.loss.get("name") != OWN else MEAN_LOSS


def only_whole(info: RunInfo) -> bool:
    """Whether nothing but the whole network can be trained: of masks, and under a loss of one's own."""
    return info.target == "mask" or info.loss.get("name") == OWN


def given_labels(scored: ScoredRun) -> NDArray[Any]:
    """The labels of all samples, `(n_samples,)` of class indices or numbers, `(n_samples, size)` of others.

    Of masks, which do not fit in here, `masks.GIVEN` or `masks.PREDICTED`: whose is trained on.
    """
    if scored.target not in TRAINABLE:
        return scored.given
    if scored.target == "mask":
        return np.full(len(scored), GIVEN)
    if scored.target == "number":
        return scored.given_values
    return np.array([label_of(scored, scored.given_text(row)) for row in range(len(scored))], dtype=np.float64)


def suggested_labels(scored: ScoredRun, rows: Indices) -> list[Any]:
    """What is suggested for the samples at `rows`, the given label where nothing is."""
    if scored.target == "mask":
        return [label_of(scored, scored.suggested_labels[row]) for row in rows.tolist()]
    if scored.target not in TRAINABLE:
        suggested: list[Any] = np.where(scored.suggestions >= 0, scored.suggestions, scored.given)[rows].tolist()
        return suggested
    texts = scored.suggested_labels
    labels = ((label_of(scored, texts[row] or None), label_of(scored, scored.given_text(row))) for row in rows.tolist())
    return [given if label is None else label for label, given in labels]


def label_of(scored: ScoredRun, text: str | None) -> Any:
    """A label as a training takes it, None where there is none."""
    if text is None:
        return None
    if scored.target == "mask":
        return PREDICTED if text == MODEL_MASK else GIVEN
    if scored.target == "number":
        return float(text) if is_number(text) else None
    if scored.target == "labels":
        names = labels_of(text)
        return [float(name in names) for name in scored.info.label_names]
    if scored.target == "vector":
        return [float(number) for number in text.split(BETWEEN)]
    return scored.classes.index(text) if text in scored.classes else None
