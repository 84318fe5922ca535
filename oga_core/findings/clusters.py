"""Clusters on the map of the gradients, each named by what dominates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oga_core.numerics import Array, Indices, evenly_spaced, slices

FITTED = 5_000
"""Points that clusters are searched among: the cost of HDBSCAN grows with their square, and is a second for these."""
SMALLEST, SMALLEST_SHARE = 15, 0.01
"""A cluster has at least so many of the fitted points, and that share of them: fewer make no name worth reading."""
NEIGHBOURS = 5
"""Points that make a place dense, as in the paper's experiments: more wash small groups out."""
FEWEST = 60
"""Points below which a map shows no more by clusters than by itself."""
DOMINANT = 0.5
"""Share of a cluster's samples that its name must be true of."""
NAMED_BY = 100_000
"""Samples that clusters are named by: the smallest has a thousand of them, which tell what most of it share."""
SEPARATOR = " → "


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of points on the map: a name and a place `(2,)` for each, and which each sample is in.

    found: `(n_samples,)`, as `find_clusters` returns them, or missing (NaN). numbers: place among the names of each
    that was found, -1 = it has no name.
    """

    found: Array
    numbers: Indices
    names: tuple[str, ...] = ()
    places: tuple[tuple[float, float], ...] = ()

    @cached_property
    def codes(self) -> Indices:
        """`(n_samples,)` indices into the names, -1 = in none; worked out when asked for, a part of a page only."""
        found = _codes(self.found)
        found[found >= len(self.numbers)] = -1
        codes: Indices = np.append(self.numbers, -1)[found]
        return codes


def find_clusters(positions: Array) -> Indices:
    """Return the cluster of each point of a map, `(n_samples,)`, -1 where it is in none or has no position.

    HDBSCAN (Campello et al. 2013) on 5,000 points spread evenly over the data; the others go with their nearest one.
    Its leaves, where a confused pair is a part of a class, and around them its most lasting clusters.
    """
    codes = np.full(len(positions), -1, dtype=np.int64)
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    if len(known) < FEWEST:
        return codes
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import KDTree

    fitted = evenly_spaced(known, FITTED)
    smallest = max(SMALLEST, round(SMALLEST_SHARE * len(fitted)))
    whole, leaves = (
        HDBSCAN(smallest, min_samples=NEIGHBOURS, cluster_selection_method=method, copy=True).fit_predict(
            positions[fitted]
        )
        for method in ("eom", "leaf")
    )
    labels = np.where(leaves >= 0, leaves + whole.max() + 1, whole)
    tree = KDTree(positions[fitted])
    for part in slices(len(known)):
        codes[known[part]] = labels[tree.query(positions[known[part]], return_distance=False)[:, 0]]
    return codes


@dataclass(frozen=True, eq=False)
class Shared:
    """What the samples of a cluster may share: `codes` `(n_samples,)`, -1 = nothing, and the words for a code."""

    codes: Indices
    words: Callable[[int], str]

    def dominant(self, rows: Indices) -> str:
        """The words for what at least half of the samples share; empty where they share nothing."""
        values, counts = np.unique(self.codes[rows], return_counts=True)
        if not len(values) or counts.max() < DOMINANT * len(rows) or values[counts.argmax()] < 0:
            return ""
        return self.words(int(values[counts.argmax()]))


def named_clusters(found: Array, positions: Array, shared: Sequence[Shared], rows: Indices | None = None) -> Clusters:
    """Return clusters with their names, the largest first; those that nothing dominates are left out.

    found: `(n_samples,)` as `find_clusters` returns them, or missing. shared: what may name a cluster, the first that
    dominates it does. Those of one name are one, named where its largest part lies. rows: positions of the samples that
    clusters are named by, which `shared` tells of; all where it is None.
    """
    rows = np.arange(len(found)) if rows is None else rows
    seen = _codes(found[rows])
    numbers = np.full(int(seen.max(initial=-1)) + 1, -1, dtype=np.int64)
    places: dict[str, tuple[float, float]] = {}
    for members in _largest_first(seen):
        name = next(filter(None, (each.dominant(members) for each in shared)), "")
        if not name:
            continue
        if name not in places:
            x, y = _central(positions[rows[members]])
            places[name] = float(x), float(y)
        numbers[seen[members[0]]] = list(places).index(name)
    return Clusters(found, numbers, tuple(places), tuple(places.values()))


def pairs(given: Indices, other: Indices, classes: Sequence[str]) -> Shared:
    """Return the confused pairs ("cat → dog") of given labels and the labels preferred to them, -1 = none."""
    differ = (given >= 0) & (other >= 0) & (given != other)
    size = max(len(classes), 1)
    codes = np.where(differ, given * size + other, -1)
    return Shared(codes, lambda code: classes[code // size] + SEPARATOR + classes[code % size])


def both(first: Indices, first_names: Sequence[str], second: Indices, second_names: Sequence[str]) -> Shared:
    """Return what samples share that have the same of two things, -1 = none of either."""
    size = max(len(second_names), 1)
    codes = np.where((first >= 0) & (second >= 0), first * size + second, -1)
    return Shared(codes, lambda code: f"{second_names[code % size]}, {first_names[code // size]}")


def _codes(found: Array) -> Indices:
    """Clusters as whole numbers, -1 where one is missing."""
    return np.nan_to_num(found, nan=-1).astype(np.int64)


def _largest_first(codes: Indices) -> list[Indices]:
    """The rows of each cluster."""
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    ends = np.flatnonzero(np.diff(codes[order])) + 1
    return sorted((rows for rows in np.split(order, ends) if len(rows)), key=len, reverse=True)


def _central(positions: Array) -> Array:
    """The point nearest to the middle: a name must not stand where its cluster has a hole."""
    away = np.square(positions - np.median(positions, axis=0)).sum(axis=1)
    central: Array = positions[away.argmin()]
    return central
