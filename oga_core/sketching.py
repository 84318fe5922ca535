"""Random sketches of per-sample gradients: dot products are kept in expectation (Johnson-Lindenstrauss).

A weight gradient is a sum of outer products, G = Σ_t l_t r_tᵀ. Its sketch is Σ_t (P l_t)(Q r_t)ᵀ with random sign
matrices P and Q, so G is never formed; the small result is then folded with random signs into one vector that all
parameters share. The signs depend on the seed and the parameter's name only, so workers and runs agree.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

AREA = 4096  # numbers kept of one parameter's gradient before they are folded into the sketch
SIDE = 64  # rows kept of a large matrix; below this a projection would not pay


class Sketcher:
    """Projects and folds the gradients of named parameters into vectors of length `dim`."""

    def __init__(self, dim: int, seed: int, device: torch.device | str = "cpu"):
        self.dim, self.seed, self.device = dim, seed, torch.device(device)
        self._signs: dict[tuple[str, str], Tensor] = {}

    def project(self, name: str, side: str, vectors: Tensor, kept: int) -> Tensor:
        """Project the last axis of `vectors` to `kept` numbers; returned as it is where it is no longer."""
        size = vectors.shape[-1]
        return vectors if size <= kept else vectors @ self.matrix(name, side, size, kept)

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
        rows, columns = kept_sides(left.shape[1], right.shape[1])
        left, right = self.project(name, "left", left, rows), self.project(name, "right", right, columns)
        return self.fold(name, left[:, :, None] * right[:, None, :])

    def _cached(self, name: str, purpose: str, shape: tuple[int, ...], scale: float) -> Tensor:
        key = (name, purpose)
        if key not in self._signs:
            self._signs[key] = random_signs(f"{self.seed} {name} {purpose}", shape).mul_(scale).to(self.device)
        return self._signs[key]


def kept_sides(m: int, n: int, copies: int = 1) -> tuple[int, int]:
    """How many rows and columns to keep of an m × n gradient that comes in `copies`, about `AREA` numbers in all."""
    area = max(AREA // copies, 1)
    rows = min(m, SIDE)
    columns = min(n, max(1, area // rows))
    return min(m, max(1, area // columns)), columns


def random_signs(key: str, shape: tuple[int, ...]) -> Tensor:
    """±1 in float32, a function of `key` and `shape` alone."""
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    bits = np.random.default_rng(number).integers(0, 2, size=shape, dtype=np.int8)
    return torch.from_numpy((bits * 2 - 1).astype(np.float32))
