"""The training sets that a retraining compares: nothing changed, trimmed, trimmed at random, relabelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE = 0.2
"""Share of the data that judges the trainings where no validation data is given; a fifth, as in cross-validation."""
NOTHING_CHANGED = "nothing_changed"
TRIMMED = "trimmed"
RANDOM_TRIM = "random_trim"
RELABELLED = "relabelled_to_prediction"
DECIDED = "decided"
TRULY_WRONG = "truly_wrong_trimmed"


FIRST_SHARE = 0.025
SAME_SHARE = 0.9
"""A share as near as this to the last one would tell nothing that the last does not."""
CURVE_STEPS = (0.25, 0.5, 1.5, 2.0)
"""Shares that the curve is drawn at, as multiples of the flagged one; each costs one more head a seed."""


Labels = NDArray[Any]
"""`(n_samples,)` class indices or numbers, or `(n_samples, size)` flags of several labels or other numbers."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One training set: positions among the run's samples, and the label that each is trained on."""

    name: str
    rows: NDArray[np.int64]
    labels: Labels
    n_relabelled: int


@dataclass(frozen=True)
class Plan:
    """What the machine flagged and the person decided, as positions among the run's samples; JSON both ways.

    predicted: class index, number or list that each flagged sample would be relabelled to. removed, relabelled: by
    decision. wrong: whose label is truly wrong, where that is known. order: the most suspicious, of which `curve` says
    how many to trim for the curve of accuracy over the share that is trimmed. suggested: class index that each of these
    would be relabelled to, where that is to be drawn beside.
    """

    flagged: Sequence[int]
    predicted: Sequence[Any]
    removed: Sequence[int]
    relabelled: Mapping[str, Any]
    wrong: Sequence[int] = ()
    order: Sequence[int] = ()
    curve: Sequence[int] = ()
    suggested: Sequence[int] = ()

    @property
    def has_decisions(self) -> bool:
        """Whether the person's decisions change anything."""
        return bool(self.removed or self.relabelled)

    def along_the_curve(self, training: NDArray[np.int64], labels: NDArray[np.int64]) -> Iterator[tuple[int, str, Arm]]:
        """Without each count of the most suspicious, and with suggestions for them, and which of the two it is."""
        for count in self.curve:
            rows = np.setdiff1d(training, np.array(self.order[:count], dtype=np.int64))
            yield count, TRIMMED, _arm(f"{TRIMMED}_{count}", rows, labels, labels)
            if self.suggested:
                corrected = _relabelled(labels, self.order[:count], self.suggested[:count])
                yield count, RELABELLED, _arm(f"{RELABELLED}_{count}", training, corrected, labels)

    def arms(self, training: NDArray[np.int64], labels: Labels, seed: int) -> list[Arm]:
        """Return every arm over the training part `training`; `labels` `(n_samples,)` are the given ones.

        Samples outside the training part are never trained on, and their labels never change.
        """
        flagged = np.intersect1d(np.array(self.flagged, dtype=np.int64), training)
        at_random = np.random.default_rng([seed, 1]).choice(training, len(flagged), replace=False)
        arms = [
            _arm(NOTHING_CHANGED, training, labels, labels),
            _arm(TRIMMED, np.setdiff1d(training, flagged), labels, labels),
            _arm(RANDOM_TRIM, np.setdiff1d(training, at_random), labels, labels),
        ]
        corrected = _relabelled(labels, self.flagged, self.predicted) if len(self.predicted) else labels
        if (labels >= 0).any() if labels.dtype.kind == "i" else (corrected != labels).any():  # some rows have none
            arms.append(_arm(RELABELLED, training, corrected, labels))
        if self.has_decisions:
            decided = labels.copy()
            decided[[int(row) for row in self.relabelled]] = list(self.relabelled.values())
            rows = np.setdiff1d(training, np.array(self.removed, dtype=np.int64))
            arms.append(_arm(DECIDED, rows, decided, labels))
        if self.wrong:
            rows = np.setdiff1d(training, np.array(self.wrong, dtype=np.int64))
            arms.append(_arm(TRULY_WRONG, rows, labels, labels))
        return arms


def curve_counts(flagged: int, most: int) -> list[int]:
    """How many to trim beside the `flagged`, at most `most`: enough points to see where a curve bends."""
    counts = {round(step * flagged) for step in CURVE_STEPS}
    return sorted(count for count in counts if 0 < count <= most and count != flagged)


def curve_shares(most: float) -> list[float]:
    """Shares to trim, doubling from 2.5 % and ending with `most`, in rising order."""
    shares = [FIRST_SHARE * 2**i for i in range(8) if FIRST_SHARE * 2**i < SAME_SHARE * most]
    return [*shares, most]


def _relabelled(labels: Labels, rows: Sequence[int], new: Sequence[Any]) -> Labels:
    changed = labels.copy()
    changed[np.array(rows, dtype=np.int64)] = np.array(new, dtype=labels.dtype)
    return changed


def _arm(name: str, rows: NDArray[np.int64], labels: Labels, given: Labels) -> Arm:
    changed = (labels[rows] != given[rows]).reshape(len(rows), -1).any(axis=1)
    return Arm(name, rows, labels[rows], int(changed.sum()))


def stratified_split(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of a training part and of a held-out `share` of each class, both sorted.

    Every class keeps at least one sample to train on.
    """
    rng = np.random.default_rng([seed, 0])
    held_out: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out.append(members[: min(round(share * len(members)), len(members) - 1)])
    rows = np.sort(np.concatenate(held_out)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), rows), rows
