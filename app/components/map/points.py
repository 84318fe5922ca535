"""The points of a map, packed for the browser, and selections on them.

points = MapPoints.pack(positions, scores, labels=given_labels, label_names=class_names)   # keep it: st.cache_resource
rows = points.rows_inside(polygon)          # vectorised; positions in the data's order
points.flagged(count)                       # rows of the `count` most suspicious
points.threshold(count)                     # the lowest flagged score
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oga_core.errors import OgaError
from oga_core.projection import points_in_polygon


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Points ordered by suspicion, so that "flagged" is a prefix and the browser needs no ranks.

    positions: `(n_samples, 2)` in the data's order. order: `(n_samples,)` row of every rank, most suspicious first.
    sorted_scores: `(n_samples,)` float32, falling; scores that are not numbers come last, as -inf.
    payload: what the browser fetches once, 16 bytes a point. version: its hash.
    """

    positions: NDArray[np.float32]
    order: NDArray[np.int64]
    rank: NDArray[np.int64]
    sorted_scores: NDArray[np.float32]
    payload: bytes
    version: str

    @classmethod
    def pack(
        cls,
        positions: ArrayLike,
        scores: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        label_names: Sequence[str] = (),
        findings: ArrayLike | None = None,
        finding_names: Sequence[str] = (),
    ) -> MapPoints:
        """Return the points of a map, packed.

        positions: `(n_samples, 2)`; points without a position (NaN) are not drawn.
        scores: `(n_samples,)`, higher = more suspicious.
        labels, findings: `(n_samples,)` indices into their names, -1 = none; up to 254 kinds of finding.
        Raises `OgaError` where the lengths differ.
        """
        place = np.ascontiguousarray(positions, dtype=np.float32).reshape(-1, 2)
        score = np.asarray(scores, dtype=np.float64)
        n = len(score)
        label = _codes(labels, n)
        finding = _codes(findings, n)
        sizes = [len(place), n, len(label), len(finding)]
        if any(size != n for size in sizes):
            raise OgaError(f"Positions, scores, labels and findings have {sizes} entries. Give one of each per sample.")
        score = np.where(np.isnan(score), -np.inf, score)
        order = np.argsort(-score, kind="stable")
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        falling = score[order].astype("<f4")
        point = np.empty(n, dtype=[("x", "<f4"), ("y", "<f4"), ("label", "<u2"), ("finding", "u1"), ("spare", "u1")])
        point["x"] = place[order, 0]
        point["y"] = place[order, 1]
        point["label"] = np.minimum(label[order], 65534) & 0xFFFF
        point["finding"] = finding[order] & 0xFF
        point["spare"] = 0
        head = json.dumps({"n": n, "labels": [*map(str, label_names)], "findings": [*map(str, finding_names)]}).encode()
        head += b" " * (-len(head) % 4)
        payload = b"".join((len(head).to_bytes(4, "little"), head, point.tobytes(), falling.tobytes()))
        return cls(place, order, rank, falling, payload, hashlib.sha256(payload).hexdigest()[:16])

    def __len__(self) -> int:
        return len(self.order)

    def flagged(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the `count` most suspicious samples, most suspicious first."""
        return self.order[:count]

    def threshold(self, count: int) -> float:
        """Return the lowest score among `count` flagged samples; infinity where none is flagged."""
        return float(self.sorted_scores[min(count, len(self)) - 1]) if count > 0 and len(self) else float("inf")

    def chance_steps(self, chances: ArrayLike) -> list[tuple[float, int]]:
        """Return (chance, count): the first `count` points are at least so likely, rounded to per cent, falling.

        chances: `(n_samples,)`, 0 to 1, none above that of a point that ranks before it.
        """
        hundredths = np.rint(100 * np.asarray(chances, dtype=np.float64)[self.order]).astype(np.int64)
        ends = np.flatnonzero(np.diff(hundredths, append=-1)) + 1
        return [(float(hundredths[end - 1]) / 100, int(end)) for end in ends]

    def rows_inside(self, polygon: ArrayLike) -> NDArray[np.int64]:
        """Return the rows of the points inside a polygon of data coordinates, in the data's order."""
        return np.flatnonzero(points_in_polygon(self.positions, polygon))

    def bits(self, rows: ArrayLike) -> bytes:
        """Return a set of rows as one bit per point in the browser's order."""
        selection = np.zeros(len(self), dtype=bool)
        selection[self.rank[np.asarray(rows, dtype=np.int64)]] = True
        return np.packbits(selection, bitorder="little").tobytes()


def _codes(values: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return indices into names; -1 for all of `n` samples where there are none."""
    return np.full(n, -1) if values is None else np.asarray(values).astype(np.int64)
