"""Small numerics that many parts share: array types, room for large ones, softmax and its kin, principal axes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float32]
"""What a pass writes."""
Values = NDArray[np.float64]
"""One number a sample, or statistics."""
Floats = NDArray[np.floating[Any]]
"""Either precision."""
Indices = NDArray[np.int64]
Result = TypeVar("Result")

BLOCK = 8192
"""Rows read at once from arrays that may be memory-mapped and larger than memory."""
NORMAL_90 = 1.645
"""Standard deviations on either side of the mean within which 90 % of normal draws lie."""
TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
SMALLEST = 1e-12
"""A probability below this share counts as this share, so that its logarithm is finite."""

LARGE = 1 << 22
"""Bytes from which an array lies in a file: of fewer, thousands would be no burden, and a file takes longer."""
_room_folder: ContextVar[Path | None] = ContextVar("room_folder", default=None)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Give large arrays room in a folder meanwhile, on a disk with room for a few hundred bytes a sample."""
    token = _room_folder.set(folder)
    try:
        yield
    finally:
        _room_folder.reset(token)


def room(shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array to be filled, whose content is not set: in a nameless file where it is large (see `room_in`).

    The file is gone with the array. Where the disk has no room, or there is no folder, it lies in memory.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    folder = _room_folder.get()
    if folder is None or size < LARGE:
        return np.empty(shape, dtype=dtype)
    try:
        with TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), size)
            mapped: NDArray[Any] = np.memmap(file, dtype=np.dtype(dtype), mode="r+", shape=shape)
            return np.asarray(mapped)
    except OSError:
        return np.empty(shape, dtype=dtype)


def _reserve(descriptor: int, size: int) -> None:
    """Take the disk's blocks now: a write to a mapped file for which there are none left ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def softmax(logits: Floats) -> Floats:
    """Row-wise softmax, in the precision of the logits, stable for large ones, `(n_samples, n_classes)`."""

    def of(part: slice) -> Floats:
        shifted: Floats = np.exp(logits[part] - logits[part].max(axis=1, keepdims=True))
        shifted /= shifted.sum(axis=1, keepdims=True)
        return shifted

    return filled(room(logits.shape, np.result_type(logits, np.float16)), of)


def cross_entropy(logits: Floats, labels: Indices) -> Floats:
    """Minus the log of the softmax at the labels, `(n_samples,)`, 0 or more."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return losses


def strongest_rival(logits: Floats, labels: Indices) -> Indices:
    """The class other than the label with the largest logit, `(n_samples,)`; the label itself where it is alone."""
    others = np.array(logits)
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


def negative_margin(logits: Floats, labels: Indices) -> Values:
    """Largest logit of another class minus that of the label, `(n_samples,)`."""

    def of(part: slice) -> Values:
        values = np.asarray(logits[part])
        own = labels[part]
        rows = np.arange(len(own))
        rivals = values[rows, strongest_rival(values, own)].astype(np.float64)
        margin: Values = rivals - values[rows, own].astype(np.float64)
        return margin

    return in_blocks(of, len(labels))


def prior_adjusted(logits: Floats, probabilities: Floats) -> Floats:
    """Logits minus the log of each class's mean probability, `(n_samples, n_classes)`. Menon, arXiv 2007.07314."""
    means = probabilities.mean(axis=0, dtype=np.float64).astype(probabilities.dtype)
    logarithms = np.log(np.maximum(means, SMALLEST))
    return filled(room(logits.shape, np.result_type(logits, logarithms)), lambda part: logits[part] - logarithms)


def evenly_spaced(rows: Indices, count: int) -> Indices:
    """At most `count` of the rows, spread evenly, the first and the last among them, `(≤ count,)`."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def slices(n_samples: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of `size` rows that together are all `n_samples`."""
    yield from (slice(start, start + size) for start in range(0, n_samples, size))


def filled(result: NDArray[Any], function: Callable[[slice], NDArray[Any]], size: int = BLOCK) -> NDArray[Any]:
    """The array, with what the function gives for each block of its rows in it."""
    for part in slices(len(result), size):
        result[part] = function(part)
    return result


def in_blocks(function: Callable[[slice], Floats], n_samples: int, size: int = BLOCK) -> Values:
    """What the function gives for each block of rows, `(n_samples,)`."""
    return filled(room(n_samples, np.float64), function, size)


def in_threads(function: Callable[[slice], Values], n_samples: int, size: int = BLOCK) -> Values:
    """The same, worked out by as many threads as torch may use."""
    result: Values = room(n_samples, np.float64)
    for part, block in zip(slices(n_samples, size), each_in_threads(function, n_samples, size), strict=True):
        result[part] = block
    return result


def each_in_threads(function: Callable[[slice], Result], n_samples: int, size: int = BLOCK) -> Iterator[Result]:
    """Yield what the function gives for each block of rows, in their order, by as many threads as torch may use.

    For what lets other threads work meanwhile, as NumPy does; no result depends on how many there are.
    """
    parts = list(slices(n_samples, size))
    if len(parts) < 2:
        yield from map(function, parts)
        return
    import torch  # which takes seconds, and the dashboard does not need
    from threadpoolctl import threadpool_limits

    # Products of matrices in threads of their own would wait for each other, the longer the busier the machine is.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as threads:
        yield from threads.map(function, parts)


class Rows(Protocol):
    """What gives blocks of rows of `(n_samples, n_features)`: an array, in memory or mapped, or what makes them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_samples, n_features)`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Indices, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Directions of largest variance, the largest first.

    mean: `(n_features,)`. axes: `(n_features, n_axes)`, each with its largest entry positive. variances: `(n_axes,)`.
    """

    mean: Floats
    axes: Floats
    variances: Values

    def project(self, rows: Rows) -> Floats:
        """The rows, centred, along the axes, `(n_samples, n_axes)`."""
        precision = np.result_type(getattr(rows, "dtype", self.axes.dtype), self.axes)
        projected: Floats = room((len(rows), self.axes.shape[1]), precision)
        return filled(projected, lambda part: (np.asarray(rows[part]) - self.mean) @ self.axes)


_EXACT_FEATURES = 2048
"""The eigenvectors of a wider covariance take more than seconds, eight times as long at twice the width."""
_SPARE_AXES = 16
_ITERATIONS = 6
"""Of the subspace iteration, twice what Halko et al. need for matrices whose variances fall slowly."""


def _leading_subspace(rows: Rows, mean: Floats, count: int) -> tuple[Floats, Floats]:
    """Variances, ascending, and axes of a few more than the `count` leading ones. Halko et al. 2011, arXiv
    0909.4061.
    """
    basis = np.random.default_rng(0).standard_normal((rows.shape[1], count + _SPARE_AXES))
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(_covariance(rows, mean, basis))
    variances, turned = np.linalg.eigh(basis.T @ _covariance(rows, mean, basis))
    return variances, basis @ turned


def _covariance(rows: Rows, mean: Floats, directions: Floats | None = None) -> Floats:
    """The covariance of the rows, or its product with `directions`, `(n_features, n_directions)`."""
    total = np.zeros((rows.shape[1], rows.shape[1] if directions is None else directions.shape[1]))
    for part in slices(len(rows)):
        centred = rows[part] - mean
        total += centred.T @ (centred if directions is None else centred @ directions)
    product: Floats = total / max(len(rows), 1)
    return product


def _mean(rows: Rows) -> Values:
    if isinstance(rows, np.ndarray):
        return np.asarray(np.mean(rows, axis=0, dtype=np.float64))
    total = np.zeros(rows.shape[1])
    for part in slices(len(rows)):
        total += rows[part].sum(axis=0, dtype=np.float64)
    return total / max(len(rows), 1)


def principal_axes(rows: Rows, count: int) -> PrincipalAxes:
    """The leading principal axes of `(n_samples, n_features)`, at most `count`, read block by block.

    Exact up to 2,048 features; of more by subspace iteration, as exact as the gaps between the variances allow.
    """
    mean = _mean(rows)
    if rows.shape[1] <= max(_EXACT_FEATURES, 2 * count):
        variances, axes = np.linalg.eigh(_covariance(rows, mean))
    else:
        variances, axes = _leading_subspace(rows, mean, count)
    axes = axes[:, ::-1][:, :count]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    precision = np.promote_types(getattr(rows, "dtype", np.float32), np.float32)
    return PrincipalAxes(mean.astype(precision), axes.astype(precision), np.maximum(variances[::-1][:count], 0))


def sparse_inverse(matrix: Values) -> Values:
    """The inverse of a square matrix of which most entries are 0, so that thousands of rows are no cubic work.

    Where there is none, the one that fits best by least squares.
    """
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    try:
        inverted: Values = splu(csc_array(matrix)).solve(np.eye(len(matrix)))
    except RuntimeError:  # singular
        return np.asarray(np.linalg.pinv(matrix))
    return inverted


def span(low: float, high: float, write: Callable[[float], str] = "{:,.0f}".format, unit: str = "") -> str:
    """Return `30 to 41 %`, `about 92 %` where both ends read the same, or `92 %` where they are. unit: comes last."""
    first, last = write(low), write(high)
    return f"{first} to {last}{unit}" if first != last else f"{'about ' if low < high else ''}{last}{unit}"


def with_span(
    estimate: float, low: float, high: float, write: Callable[[float], str] = "{:,.0f}".format, unit: str = ""
) -> str:
    """Return `36 % (30 to 41 %)`, or `about 92 %` where that is all that the ends say."""
    ends = span(low, high, write, unit)
    middle = f"{write(estimate)}{unit}"
    return ends if ends.endswith(middle) and " to " not in ends else f"{middle} ({ends})"
