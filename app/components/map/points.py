"""The points of a map, packed for the browser, and selections on them.

points = MapPoints.pack(positions, scores, labels=given_labels, label_names=class_names)   # keep it: st.cache_resource
rows = points.rows_inside(polygon)          # vectorised; positions in the data's order
points.flagged(count)                       # rows of the `count` most suspicious
points.threshold(count)                     # the lowest flagged score
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oga_core.errors import OgaError
from oga_core.map.polygon import points_in_polygon
from oga_core.threshold.ranked import RankedScores

DRAWN = 1_000_000
"""Points that a browser draws at 20 frames a second without a graphics card. Of more samples every third, fourth … is
drawn, at most half as many: sorting them takes long enough."""


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Points ordered by suspicion, so that "flagged" is a prefix and the browser needs no ranks.

    positions: `(n_samples, 2)` in the data's order. ranked: the scores with their order; missing ones come last.
    stride: that many samples, by suspicion, for each that is drawn. payload: what the browser fetches once, 16 bytes a
    point that is drawn. version: its hash.
    """

    positions: NDArray[np.float32]
    ranked: RankedScores
    stride: int
    payload: bytes
    version: str

    @classmethod
    def pack(
        cls,
        positions: ArrayLike,
        scores: ArrayLike | RankedScores,
        *,
        labels: ArrayLike | None = None,
        label_names: Sequence[str] = (),
        findings: ArrayLike | None = None,
        finding_names: Sequence[str] = (),
        drawn: int = DRAWN,
    ) -> MapPoints:
        """Return the points of a map, packed.

        positions: `(n_samples, 2)`; points without a position (NaN) are not drawn.
        scores: `(n_samples,)`, higher = more suspicious.
        labels, findings: `(n_samples,)` indices into their names, -1 = none; up to 254 kinds of finding.
        drawn: the most points that are drawn, of more samples half as many. Raises `OgaError` where the lengths differ.
        """
        place = np.ascontiguousarray(positions, dtype=np.float32).reshape(-1, 2)
        ranked = scores if isinstance(scores, RankedScores) else RankedScores.of(scores)
        n = len(ranked)
        sizes = [len(place), n, *(n if codes is None else len(np.asarray(codes)) for codes in (labels, findings))]
        if any(size != n for size in sizes):
            raise OgaError(f"Positions, scores, labels and findings have {sizes} entries. Give one of each per sample.")
        stride = 1 if n <= drawn else -(-2 * n // drawn)
        rows = ranked.order[::stride]
        point = np.zeros(
            len(rows), dtype=[("x", "<f4"), ("y", "<f4"), ("label", "<u2"), ("finding", "u1"), ("spare", "u1")]
        )
        point["x"] = place[rows, 0]
        point["y"] = place[rows, 1]
        point["label"] = np.minimum(_codes(labels, rows), 65534) & 0xFFFF
        point["finding"] = _codes(findings, rows) & 0xFF
        names = {"labels": [*map(str, label_names)], "findings": [*map(str, finding_names)]}
        head = json.dumps({"n": n, "stride": stride, **names}).encode()
        head += b" " * (-len(head) % 4)
        falling = ranked.values[rows].astype("<f4")
        payload = b"".join((len(head).to_bytes(4, "little"), head, point.tobytes(), falling.tobytes()))
        return cls(place, ranked, stride, payload, hashlib.sha256(payload).hexdigest()[:16])

    @property
    def order(self) -> NDArray[np.int64]:
        """The row of every rank, most suspicious first, `(n_samples,)`."""
        return self.ranked.order

    @property
    def rank(self) -> NDArray[np.int64]:
        """The rank of every row, `(n_samples,)`."""
        return self.ranked.ranks

    def __len__(self) -> int:
        return len(self.order)

    def flagged(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the `count` most suspicious samples, most suspicious first."""
        return self.order[:count]

    def threshold(self, count: int) -> float:
        """Return the lowest score among `count` flagged samples; infinity where none is flagged."""
        values = self.ranked.values
        return float(values[self.order[min(count, len(self)) - 1]]) if count > 0 and len(self) else float("inf")

    def chance_steps(self, chances: ArrayLike) -> list[tuple[float, int]]:
        """Return (chance, count): the first `count` points are at least so likely, rounded to per cent, falling.

        chances: `(n_samples,)`, 0 to 1, none above that of a point that ranks before it.
        """
        values = np.asarray(chances, dtype=np.float64)
        steps: list[tuple[float, int]] = []
        end = 0
        while end < len(self):
            chance = round(100 * float(values[self.order[end]]))
            end = bisect_right(self.order, -chance, lo=end, key=lambda row: -round(100 * float(values[row])))
            steps.append((chance / 100, end))
        return steps

    def rows_inside(self, polygon: ArrayLike) -> NDArray[np.int64]:
        """Return the rows of the points inside a polygon of data coordinates, in the data's order."""
        return np.flatnonzero(points_in_polygon(self.positions, polygon))

    def by_rank(self, rows: ArrayLike) -> NDArray[np.bool_]:
        """Return a set of rows as whether each sample is one, most suspicious first, `(n_samples,)`."""
        chosen = np.zeros(len(self), dtype=bool)
        chosen[self.rank[np.asarray(rows, dtype=np.int64)]] = True
        return chosen


def _codes(values: ArrayLike | None, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices into names at `rows`; -1 for all where there are none."""
    return np.full(len(rows), -1) if values is None else np.asarray(values)[rows].astype(np.int64)
