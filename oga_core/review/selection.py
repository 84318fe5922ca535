"""The samples that pass a filter, and those of them above the threshold: what every number of every view counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.map.polygon import points_in_polygon
from oga_core.review.decisions import ACTIONS
from oga_core.review.filters import PREDICTIONS, SIDES, UNDECIDED, Filters
from oga_core.runs.counts import confusion, shares
from oga_core.runs.scored import ScoredRun

if TYPE_CHECKING:
    from oga_core.review.board import DecisionBoard

Mask = NDArray[np.bool_]
Find = Callable[[str], Mask]
"""Which samples hold a text, `(n_samples,)`; reading them is the caller's, who may have to ask another process."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The samples of a run that pass a filter, seen from a threshold.

    threshold: how many of all samples are flagged by `score`. chosen: `(n_samples,)`, which of them pass.
    """

    data: ScoredRun
    score: str
    threshold: int
    chosen: Mask

    @classmethod
    def of(
        cls, filters: Filters, data: ScoredRun, board: DecisionBoard, score: str, threshold: int, find: Find
    ) -> Selection:
        """Return what passes `filters`; raises `OgaError` where `find` cannot read the samples."""
        chosen = np.ones(len(data), dtype=bool)
        for part in _restrictions(filters, data, board, data.order(score)[:threshold]):
            chosen &= part
        if filters.content is not None:
            chosen &= find(filters.content)
        return cls(data, score, threshold, chosen)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def by_rank(self) -> Mask:
        """`chosen` by rank, most suspicious first, `(n_samples,)`."""
        return self.chosen if self.chosen.all() else self.chosen[self.data.order(self.score)]

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The samples that pass, most suspicious first."""
        order = self.data.order(self.score)
        return order if self.by_rank is self.chosen else order[self.by_rank]

    @cached_property
    def flagged(self) -> NDArray[np.int64]:
        """Those of `rows` that the threshold flags: its beginning."""
        return self.rows[: int(self.by_rank[: self.threshold].sum())]

    @property
    def share_flagged(self) -> float:
        """Share of the samples that pass which is flagged, 0 to 1."""
        return len(self.flagged) / max(len(self), 1)

    def class_shares(self) -> pd.DataFrame:
        """Per given label: samples that pass, flagged ones and their share in %; classes without samples left out."""
        return self._shares(self.data.given, len(self.data.classes))

    def cluster_shares(self) -> pd.DataFrame:
        """Per named cluster of the map, as `class_shares` per class."""
        clusters = self.data.clusters
        return self._shares(clusters.codes, len(clusters.names))

    def _shares(self, codes: NDArray[np.int64], n_codes: int) -> pd.DataFrame:
        table = shares(codes[self.chosen], codes[self.flagged], n_codes)
        return table[table["samples"] > 0].reset_index(drop=True)

    def confusion(self, only_flagged: bool = False) -> NDArray[np.int64]:
        """Counts of samples that pass, `(n_classes, n_classes)`: given label by predicted label."""
        rows = self.flagged if only_flagged else self.chosen
        return confusion(self.data.given[rows], self.data.predicted[rows], len(self.data.classes))

    def confused_pairs(self, only_flagged: bool = False) -> pd.DataFrame:
        """Given and predicted label where they differ, as codes, with counts and share of the given label in %.

        The most frequent first. The work grows with the samples, whatever the number of classes.
        """
        rows = self.flagged if only_flagged else self.chosen
        given, predicted, size = self.data.given[rows], self.data.predicted[rows], len(self.data.classes)
        known = (given >= 0) & (predicted >= 0)
        total = np.bincount(given[known], minlength=size)
        differ = known & (given != predicted)
        codes, counts = np.unique(given[differ] * size + predicted[differ], return_counts=True)
        first = codes // max(size, 1)
        table = pd.DataFrame({"given": first, "predicted": codes % max(size, 1), "samples": counts})
        table["share"] = 100 * counts / np.maximum(total[first], 1)
        return table.sort_values("samples", ascending=False, kind="stable", ignore_index=True)


def _restrictions(
    filters: Filters, data: ScoredRun, board: DecisionBoard, flagged: NDArray[np.int64]
) -> Iterator[Mask]:
    """Yield which samples pass each restriction that is set, but for the content."""
    yield from _by_label(filters, data)
    yield from _by_decision(filters, data, board)
    yield from _by_number(filters, data, board)
    if filters.finding is not None:
        yield data.finding == _code(data.finding_names, filters.finding)
    if filters.cluster is not None:
        yield data.clusters.codes == _code(data.clusters.names, filters.cluster)
    if filters.side is not None:
        is_flagged = np.zeros(len(data), dtype=bool)
        is_flagged[flagged] = True
        yield is_flagged == (filters.side == SIDES[0])
    if filters.text is not None:
        yield data.ids.containing(filters.text)
    for column, value in filters.metadata or ():
        groups = data.metadata
        known = groups is not None and column in groups
        yield groups.codes(column, [value]) == 0 if groups and known else np.zeros(len(data), dtype=bool)
    if filters.polygon is not None and data.positions is not None:
        yield points_in_polygon(data.positions, filters.polygon)


def _by_label(filters: Filters, data: ScoredRun) -> Iterator[Mask]:
    if filters.given is not None:
        yield data.given == _code(data.classes, filters.given)
    if filters.predicted is not None:
        yield data.predicted == _code(data.classes, filters.predicted)
    if filters.prediction is not None:
        known = (data.given >= 0) & (data.predicted >= 0)
        yield known & ((data.given == data.predicted) == (filters.prediction == PREDICTIONS[0]))


def _by_decision(filters: Filters, data: ScoredRun, board: DecisionBoard) -> Iterator[Mask]:
    if filters.decision is not None:
        yield board.codes == (-1 if filters.decision == UNDECIDED else ACTIONS.index(filters.decision))
    if filters.reviewer is not None:
        decided = np.zeros(len(data), dtype=bool)
        rows = data.ids.rows(board.store.decisions(filters.reviewer))
        decided[rows[rows >= 0]] = True
        yield decided


def _by_number(filters: Filters, data: ScoredRun, board: DecisionBoard) -> Iterator[Mask]:
    if filters.score_range is not None and filters.score_range[0] in data.scores:
        name, low, high = filters.score_range
        yield _within(data.score(name), low, high)
    if filters.probability_range is not None and (wrong := board.wrong_probability()) is not None:
        yield _within(wrong, *filters.probability_range)
    if filters.value_range is not None and data.target == "number":
        yield _within(data.given_values, *filters.value_range)


def _within(values: NDArray[np.float64], low: float, high: float) -> Mask:
    return (values >= low) & (values <= high)


def _code(names: tuple[str, ...], name: str) -> int:
    """The place of a name, -2 where there is none: -1 stands for samples without a label."""
    return names.index(name) if name in names else -2
