"""Samples that do not belong: far from all others each by itself, or in a clump that lies apart from the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import TO_SIGMA, Array, Indices, Rows, Values, evenly_spaced, principal_axes
from oga_core.scores.estimators.neighbours import distances_to_farthest_neighbour
from oga_core.scores.feature_rows import ScaledRows, TurnedRows

SINGLE_FALSE_SHARE = 0.05
CLUMP_FALSE_SHARE = 0.02
"""Of what each test calls foreign, the share that chance may have made (Benjamini and Hochberg, JRSS B 1995); of clumps
less, since in most data a few samples are alike.
"""
AXES = 128
"""Distances are taken on this many principal axes, which keep them within a few per cent."""
REFERENCES = 4000
"""Samples that near distances are taken to, so that the cost grows with the data and not with its square."""
FAR_REFERENCES = 1000
"""Those of far distances, of which a tenth is enough to average."""
NEAR = 10
"""A file that has fewer of its kind is far from its 10 neighbours; of more, each has neighbours that are too near."""
FAR_SHARE = 0.1
"""A batch of foreign files is smaller than this share of the data, so this many neighbours are not all of its kind."""
FEWEST = 50
"""Samples whose spread can be told."""
APART = 1.0
"""A clump lies apart where it is farther from the rest than five of six samples are, in robust deviations."""
ROUNDS = 8
"""Of leaving out what is called foreign and looking again at how the others spread; three are usual."""
LEAST_SPREAD = 0.1
"""Of the standard deviation: the median deviation of a column that is mostly one number is none."""


Tail = Callable[[Values, NDArray[np.bool_]], Values]
"""Log chances of values, `(n_samples,)`, by how those spread that are at home."""


def foreign(features: Rows, looks: Array | None, order: Indices) -> tuple[NDArray[np.bool_], Values]:
    """Whether each sample is foreign, and minus the decimal logarithm of how often chance sets one so far apart.

    features: `(n_samples, n_features)` of middle layers, for the last put what they have never seen among what they
    know. looks: statistics of images, which tell kinds of images that no layer was trained to tell. order: positions of
    the samples, along which those that distances are taken to are spread. Two tests, each against how the rest spread:
    the distance to the 10th neighbour, of both spaces the product, for files that come singly; and in either space how
    many times farther a tenth of all the data is, for batches of like files that lie apart.
    """
    if len(features) < FEWEST:
        return np.zeros(len(features), dtype=bool), np.zeros(len(features))
    points = ScaledRows.of(features)
    spaces: list[Rows] = [TurnedRows(points, principal_axes(points, AXES))]
    if looks is not None:
        spaces.append(_robustly_scaled(looks))
    near = [_log_distances(space, evenly_spaced(order, REFERENCES), NEAR) for space in spaces]
    far = [_log_distances(space, rows := evenly_spaced(order, FAR_REFERENCES), _tenth(rows)) for space in spaces]
    ratios = [outer - inner for inner, outer in zip(near, far, strict=True)]
    apart = [_is_apart(distances) for distances in far]
    tail = _exponential_tail if looks is None else _normal_tail
    single, single_chance = _called([np.sum(near, axis=0)], tail, SINGLE_FALSE_SHARE)
    clumped, clump_chance = _called(ratios, _exponential_tail, CLUMP_FALSE_SHARE, apart)
    chance = np.minimum(single_chance, clump_chance) + np.log(2)
    unusualness: Values = np.maximum(-chance / np.log(10), 0)
    return single | clumped, unusualness


def _tenth(references: Indices) -> int:
    return max(NEAR + 1, round(FAR_SHARE * len(references)))


def _robustly_scaled(looks: Array) -> Array:
    """Columns with median 0 and a robust deviation of 1, which a batch of foreign files does not move."""
    centred = np.asarray(looks, dtype=np.float64) - np.median(looks, axis=0)
    spread = np.maximum(TO_SIGMA * np.median(np.abs(centred), axis=0), LEAST_SPREAD * centred.std(axis=0))
    scaled: Array = (centred / np.where(spread > 1e-6, spread, np.inf)).astype(np.float32)
    return scaled


def _log_distances(space: Rows, references: Indices, count: int) -> Values:
    distances: Values = np.log(np.maximum(distances_to_farthest_neighbour(space, references, count=count), 1e-6))
    return distances


def _is_apart(far: Values) -> NDArray[np.bool_]:
    centred = far - np.median(far)
    apart: NDArray[np.bool_] = centred > APART * TO_SIGMA * np.median(np.abs(centred))
    return apart


def _exponential_tail(values: Values, at_home: NDArray[np.bool_]) -> Values:
    """By the exponential that goes on as the values do from the 75th to the 90th percentile, where few are foreign."""
    inner, outer = np.quantile(values[at_home], [0.75, 0.9])
    scale = max((outer - inner) / np.log(2.5), 1e-9)
    chances: Values = np.where(values > outer, np.log(0.1) - (values - outer) / scale, 0)
    return chances


def _normal_tail(values: Values, at_home: NDArray[np.bool_]) -> Values:
    """By the normal distribution with the values' median and 95th percentile, as log distances between looks have."""
    from scipy.stats import norm

    middle, outer = np.quantile(values[at_home], [0.5, 0.95])
    chances: Values = norm.logsf((values - middle) / max((outer - middle) / norm.ppf(0.95), 1e-9))
    return chances


def _called(
    tests: Sequence[Values], tail: Tail, false_share: float, eligible: Sequence[NDArray[np.bool_]] | None = None
) -> tuple[NDArray[np.bool_], Values]:
    """Which samples the least likely of their values make foreign, and the log of its chance, `(n_samples,)` each.

    eligible: samples for which a value tells anything, of each test.
    """
    n_samples = len(tests[0])
    called = np.zeros(n_samples, dtype=bool)
    for _ in range(ROUNDS):
        chances = np.stack([tail(values, ~called) for values in tests])
        if eligible is not None:
            chances = np.where(eligible, chances, 0)
        chance = np.minimum(chances.min(axis=0) + np.log(len(tests)), 0)
        ranked = np.sort(chance)
        allowed = np.flatnonzero(ranked <= np.log(false_share * np.arange(1, n_samples + 1) / n_samples))
        before = called
        called = chance <= ranked[allowed[-1]] if len(allowed) else np.zeros(n_samples, dtype=bool)
        if (called == before).all():
            break
    return called, chance
