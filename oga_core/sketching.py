"""Random sketches of per-sample gradients: dot products are kept in expectation (Johnson-Lindenstrauss).

A weight gradient is a sum of outer products, G = Σ_t l_t r_tᵀ. Its sketch is Σ_t (P l_t)(Q r_t)ᵀ with random sign
matrices P and Q, so G is never formed; the small result is then folded with random signs into one vector that all
parameters share. The signs depend on the seed and the parameter's name only, so workers and runs agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SIDES = (32, 64)  # rows and columns kept of a gradient: of a small convolution, whose projection would cost most, and else
LARGE = 2**16  # rows x columns from which a convolution is large


class Sketcher:
    """Projects and folds the gradients of named parameters into vectors of length `dim`."""

    def __init__(self, dim: int, seed: int, device: torch.device | str = "cpu"):
        self.dim, self.seed, self.device = dim, seed, torch.device(device)
        self._signs: dict[tuple[str, str], Tensor] = {}

    def project(self, name: str, side: str, vectors: Tensor, kept: int) -> Tensor:
        """Project the last axis of `vectors` to `kept` numbers; returned as it is where it is no longer."""
        size = vectors.shape[-1]
        return vectors if size <= kept else vectors @ self.matrix(name, side, size, kept)

    def gradient(self, name: str, gradient: Tensor) -> Tensor:
        """Sketch gradients `(batch, rows, columns, copies)` themselves, as their factors would be: `(batch, dim)`."""
        kept = Kept.of(gradient.shape[1:])
        left = self.project(name, "left", gradient.movedim(1, 3), kept.rows)  # (batch, columns, copies, rows)
        right = self.project(name, "right", left.movedim(1, 3), kept.columns)  # (batch, copies, rows, columns)
        right = self.project(name, "patches", right.permute(0, 2, 3, 1).flatten(2), kept.patches)
        return self.fold(name, right)

    def matrix(self, name: str, side: str, size: int, kept: int) -> Tensor:
        """Random signs over sqrt(kept), `(size, kept)`: the projection of one side of one parameter."""
        return self._cached(name, f"{side} {kept}", (size, kept), 1 / math.sqrt(kept))

    def fold(self, name: str, values: Tensor) -> Tensor:
        """Add the numbers of every row, with random signs, into `dim` buckets: `(batch, …)` to `(batch, dim)`.

        Exact up to signs where a row has no more than `dim` numbers.
        """
        flat = values.flatten(1)
        size = flat.shape[1]
        flat = flat * self._cached(name, "fold", (size,), 1.0)
        buckets = -(-size // self.dim)
        if buckets * self.dim != size:
            flat = torch.nn.functional.pad(flat, (0, buckets * self.dim - size))
        return flat.view(-1, buckets, self.dim).sum(1)

    def outer(self, name: str, left: Tensor, right: Tensor) -> Tensor:
        """Sketch the outer products of two sets of rows, `(batch, m)` and `(batch, n)`: `(batch, dim)`."""
        kept = Kept.of((left.shape[1], right.shape[1], 1))
        left = self.project(name, "left", left, kept.rows)
        right = self.project(name, "right", right, kept.columns)
        return self.fold(name, left[:, :, None] * right[:, None, :])

    def _cached(self, name: str, purpose: str, shape: tuple[int, ...], scale: float) -> Tensor:
        key = (name, purpose)
        if key not in self._signs:
            self._signs[key] = random_signs(f"{self.seed} {name} {purpose}", shape).mul_(scale).to(self.device)
        return self._signs[key]


class Kept(NamedTuple):
    """How much is kept of a gradient (rows, columns, copies): rows, then columns, then columns x copies together."""

    rows: int
    columns: int
    patches: int

    @classmethod
    def of(cls, shape: Sequence[int]) -> Kept:
        """A function of the parameter's shape alone; narrow sides leave more room to the others."""
        m, n, copies = shape
        side = SIDES[copies == 1 or m * n >= LARGE]
        patches = min(n * copies, max(side, side * side // m))
        rows = min(m, side * side // patches)
        columns = n if n * copies <= patches else min(n, max(side // 2 if copies > 1 else patches, patches // copies))
        return cls(rows, columns, min(patches, columns * copies))


def random_signs(key: str, shape: tuple[int, ...]) -> Tensor:
    """±1 in float32, a function of `key` and `shape` alone."""
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    bits = np.random.default_rng(number).integers(0, 2, size=shape, dtype=np.int8)
    return torch.from_numpy((bits * 2 - 1).astype(np.float32))
