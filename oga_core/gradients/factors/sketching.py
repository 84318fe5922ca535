"""Random sketches of per-sample gradients: dot products are kept in expectation (Johnson-Lindenstrauss).

A weight gradient is a sum of outer products, G = Σ_t l_t r_tᵀ. Its sketch is Σ_t (P l_t)(Q r_t)ᵀ with random sign
matrices P and Q, so G is never formed; the small result is then folded with random signs into one vector that all
parameters share. The signs depend on the seed and the parameter's name only, so workers and runs agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from oga_core.gradients.factors.factor import Kept


class Sketcher:
    """Projects and folds the gradients of named parameters into vectors of length `dim`."""

    def __init__(self, dim: int, seed: int, device: torch.device | str = "cpu"):
        self.dim = dim
        self.seed = seed
        self.device = torch.device(device)
        self._signs: dict[tuple[str, str, torch.dtype], Tensor] = {}
        self._starts: dict[tuple[str, int], int] = {}

    def project(self, name: str, side: str, vectors: Tensor, length: int) -> Tensor:
        """Project the last axis of `vectors` to `length` numbers; returned as it is where it is no longer."""
        size = vectors.shape[-1]
        return vectors if size <= length else vectors @ self.matrix(name, side, size, length, vectors.dtype)

    def gradient(self, name: str, gradient: Tensor) -> Tensor:
        """Project gradients `(batch, rows, columns, copies)` as their factors would be, `(batch, length)`."""
        sides = Kept.of(gradient.shape[1:])
        if sides.everything:
            return gradient.flatten(1)
        _, rows, columns, copies = gradient.shape
        left = gradient.flatten(2)
        if rows > sides.rows:
            left = self.matrix(name, "left", rows, sides.rows, left.dtype).T @ left  # (batch, rows, columns · copies)
        images = left.unflatten(2, (columns, copies)).transpose(2, 3)
        right = self.project(name, "right", images, sides.columns)  # (batch, rows, copies, columns)
        return self.project(name, "patches", right.transpose(2, 3).flatten(2), sides.patches).flatten(1)

    def matrix(self, name: str, side: str, size: int, length: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Random signs over sqrt(length), `(size, length)`: the projection of one side of one parameter."""
        return self._cached(name, f"{side} {length}", (size, length), 1 / math.sqrt(length), dtype)

    def fold(self, sketch: Tensor, name: str, values: Tensor) -> None:
        """Add the numbers of every row `(batch, kept)`, with random signs, to the buckets of `sketch` `(batch, dim)`.

        Exact up to signs where a row has no more than `dim` numbers and no other parameter adds to the same buckets.
        """
        self.fold_all(sketch, [name], [values])

    def fold_all(self, sketch: Tensor, names: Sequence[str], parts: Sequence[Tensor]) -> None:
        """Fold the rows of several parameters at once, `(batch, kept)` each, as many numbers of each."""
        size = parts[0].shape[1]
        dim = sketch.shape[1]
        if size < dim:
            self._fold_short(sketch, names, parts)
            return
        values = torch.stack(list(parts)) if len(parts) > 1 else parts[0][None]
        values = values * self._fold_signs(names, size, values.dtype)
        whole = size - size % dim
        sketch += values[:, :, :whole].unflatten(2, (-1, dim)).sum((0, 2))
        if whole < size:
            sketch[:, : size - whole] += values[:, :, whole:].sum(0)

    def _fold_short(self, sketch: Tensor, names: Sequence[str], parts: Sequence[Tensor]) -> None:
        """Add short rows from a random bucket on, so that parameters are spread over the buckets."""
        for name, rows in zip(names, parts, strict=True):
            size = rows.shape[1]
            start = self._start(name, sketch.shape[1] - size + 1)
            sketch[:, start : start + size].addcmul_(rows, self._cached(name, "fold", (size,), 1.0, rows.dtype))

    def _start(self, name: str, n_places: int) -> int:
        """The bucket at which a short row begins."""
        if (name, n_places) not in self._starts:
            self._starts[name, n_places] = _number(f"{self.seed} {name} start") % n_places
        return self._starts[name, n_places]

    def _fold_signs(self, names: Sequence[str], size: int, dtype: torch.dtype) -> Tensor:
        """The signs of several parameters, `(parameters, 1, kept)`."""
        key = ("\n".join(names), f"fold {size}", dtype)
        if key not in self._signs:
            self._signs[key] = torch.stack([self._cached(name, "fold", (size,), 1.0, dtype)[None] for name in names])
        return self._signs[key]

    def outer(self, name: str, left: Tensor, right: Tensor) -> Tensor:
        """Sketch outer products of rows, `(batch, m)` and `(batch, n)`: `(batch, min(dim, m · n))`."""
        sides = Kept.of((left.shape[1], right.shape[1], 1))
        left = self.project(name, "left", left, sides.rows)
        right = self.project(name, "right", right, sides.columns)
        sketch = left.new_zeros(len(left), min(self.dim, left.shape[1] * right.shape[1]))
        self.fold(sketch, name, (left[:, :, None] * right[:, None, :]).flatten(1))
        return sketch

    def _cached(self, name: str, purpose: str, shape: tuple[int, ...], scale: float, dtype: torch.dtype) -> Tensor:
        key = (name, purpose, dtype)
        if key not in self._signs:
            signs = random_signs(f"{self.seed} {name} {purpose}", shape).mul_(scale)
            self._signs[key] = signs.to(self.device, dtype)
        return self._signs[key]


def random_signs(key: str, shape: tuple[int, ...]) -> Tensor:
    """±1 in float32, a function of `key` and `shape` alone."""
    bits = np.random.default_rng(_number(key)).integers(0, 2, size=shape, dtype=np.int8)
    return torch.from_numpy((bits * 2 - 1).astype(np.float32))


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
