"""The gradient of a batch of samples with respect to one parameter, kept in whatever form is cheapest.

A parameter is seen as an array (rows, columns, copies): a linear weight is (out, in, 1), a convolution's
(out, in, kernel positions), a vector (size, 1, 1). Numbers of 16 bits are added up in float32.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

Shape = tuple[int, int, int]

# Bytes of whole gradients that exist at a time, whatever the batch. On a CPU they stay in the caches; an accelerator
# wants few large calls, and this is little of its memory.
CPU_CHUNK_BYTES = 2 * 2**20
ACCELERATOR_CHUNK_BYTES = 512 * 2**20

SMALL = 2**13  # a gradient of no more numbers is kept whole
LARGE = 2**16  # rows x columns from which a convolution is large
# Rows and columns kept of a gradient: of a small convolution, whose projection would cost most, and of all else.
SIDES = (32, 64)


class Projections(Protocol):
    """Random projections of named parameters' gradients; see `sketching.Sketcher`."""

    def project(self, name: str, side: str, vectors: Tensor, length: int) -> Tensor: ...

    def gradient(self, name: str, gradient: Tensor) -> Tensor: ...

    def matrix(self, name: str, side: str, size: int, length: int, dtype: torch.dtype = torch.float32) -> Tensor: ...


class Factor(ABC):
    """The gradients of one parameter for a batch of samples."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """The parameter's canonical shape."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it is."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def explicit(self, rows: slice) -> Tensor:
        """The gradients of the samples in `rows`, `(rows, *shape)`."""

    @property
    def explicit_is_shorter(self) -> bool:
        """Whether forming the gradient costs less than its norm from the factors."""
        return True

    @property
    def suits_sketch_of_gradient(self) -> bool:
        """Whether the sketch of a gradient that is formed anyway costs less than that from the factors."""
        return True

    @property
    def numbers_at_a_time(self) -> int:
        """Numbers that exist for each sample while its gradient is formed."""
        return math.prod(self.shape)

    def sketch(self, name: str, projections: Projections) -> Tensor:
        """What the sketch keeps of it before folding, `(batch, kept)`."""
        return joined([projections.gradient(name, self.explicit(rows)) for rows in chunks(self)])

    def squared_norms(self) -> Tensor:
        """Squared L2 norms, `(batch,)`."""
        return joined([squares(self.explicit(rows)) for rows in chunks(self)])

    def part(self, rows: slice) -> Factor:
        """The factor of the samples in `rows` alone."""
        return DirectFactor(self.explicit(rows), self.shape)

    def transposed(self) -> Factor:
        """The factor of the transposed matrix."""
        rows, columns, _ = self.shape
        return ComputedFactor(
            lambda part: self.explicit(part).transpose(1, 2), (columns, rows, 1), len(self), self.device
        )


@dataclass
class DirectFactor(Factor):
    """A small parameter's gradients as they are, `(batch, *parameter shape)`."""

    values: Tensor
    size: Shape

    @property
    def shape(self) -> Shape:
        return self.size

    @property
    def device(self) -> torch.device:
        return self.values.device

    def __len__(self) -> int:
        return len(self.values)

    def explicit(self, rows: slice) -> Tensor:
        return self.values[rows].reshape(-1, *self.shape)


@dataclass
class ComputedFactor(Factor):
    """Gradients that `compute` forms for a slice of samples, as through a function of the parameter."""

    compute: Callable[[slice], Tensor]
    size: Shape
    n_samples: int
    place: torch.device

    @property
    def shape(self) -> Shape:
        return self.size

    @property
    def device(self) -> torch.device:
        return self.place

    def __len__(self) -> int:
        return self.n_samples

    def explicit(self, rows: slice) -> Tensor:
        return self.compute(rows).reshape(-1, *self.shape)


class Passage(NamedTuple):
    """A function of a tensor on a tape of its own: where its value is on the tape, and the gradients that arrive there.

    The tape holds the value, not the other way round: a reference to the value itself would be a cycle.
    """

    edge: torch.autograd.graph.GradientEdge
    shape: tuple[int, ...]
    dtype: torch.dtype
    arrived: Factor


@dataclass
class ThroughFactor(Factor):
    """Gradients of a tensor through the functions of it that were used, through all at once, sample by sample."""

    leaf: Tensor
    passages: list[Passage]

    @property
    def shape(self) -> Shape:
        return canonical(self.leaf.shape)

    @property
    def device(self) -> torch.device:
        return self.passages[0].arrived.device

    def __len__(self) -> int:
        return len(self.passages[0].arrived)

    def explicit(self, rows: slice) -> Tensor:
        arrived = [passage.arrived.explicit(rows) for passage in self.passages]
        dtype = arrived[0].dtype if self.leaf.is_complex() else arrived[0].dtype.to_real()  # a real one's is real
        return (
            torch.stack([self._back(sample) for sample in zip(*arrived, strict=True)])
            .to(dtype)
            .reshape(-1, *self.shape)
        )

    def _back(self, sample: Sequence[Tensor]) -> Tensor:
        gradients = [
            gradient.reshape(passage.shape).to(passage.dtype)
            for passage, gradient in zip(self.passages, sample, strict=True)
        ]
        edges = [passage.edge for passage in self.passages]
        part = torch.autograd.grad(edges, self.leaf, gradients, retain_graph=True, allow_unused=True)[0]
        return torch.zeros_like(self.leaf) if part is None else part


def vector(values: Tensor) -> DirectFactor:
    """Return gradients `(batch, *parameter shape)` as a factor."""
    return DirectFactor(values, canonical(values.shape[1:]))


def canonical(shape: Sequence[int]) -> Shape:
    """Return (rows, columns, copies) for a parameter's shape."""
    rows, columns, *rest = (*shape, 1, 1)
    return rows, columns, math.prod(rest)


def chunks(factor: Factor, numbers: int | None = None) -> Iterator[slice]:
    """Yield slices of samples whose gradients fit into the caches of a CPU, or a little of a device's memory.

    numbers: that exist for each sample where not its gradient is formed.
    """
    limit = CPU_CHUNK_BYTES if factor.device.type == "cpu" else ACCELERATOR_CHUNK_BYTES
    step = max(1, limit // (4 * (numbers or factor.numbers_at_a_time)))
    for start in range(0, len(factor), step):
        yield slice(start, min(start + step, len(factor)))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts one after the other; a single one as it is, without a copy."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


class Kept(NamedTuple):
    """How much is kept of a gradient (rows, columns, copies): rows, then columns, then columns x copies together."""

    rows: int
    columns: int
    patches: int
    everything: bool

    @classmethod
    def of(cls, shape: Sequence[int]) -> Kept:
        """A function of the parameter's shape alone; narrow sides leave more room to the others."""
        m, n, copies = shape
        if m * n * copies <= SMALL:
            return cls(m, n, n * copies, True)
        side = SIDES[copies == 1 or m * n >= LARGE]
        patches = min(n * copies, max(side, side * side // m))
        rows = min(m, side * side // patches)
        columns = n if n * copies <= patches else min(n, max(side // 2 if copies > 1 else patches, patches // copies))
        return cls(rows, columns, min(patches, columns * copies), False)


def projecting_gradient_pays(shape: Shape, time: int, pixels: int) -> bool:
    """Whether projecting a gradient takes fewer multiplications than projecting its factors.

    time: positions of the left factor. pixels: positions of the right one before windows are cut out of it.
    """
    rows, columns, copies = shape
    kept = Kept.of(shape)
    if kept.everything:
        return True
    patches = kept.columns * copies
    of_rows = rows * kept.rows * (kept.rows < rows)
    of_columns = columns * kept.columns * (kept.columns < columns)
    of_patches = patches * kept.patches * (kept.patches < patches)
    of_gradient = columns * copies * of_rows + kept.rows * (copies * of_columns + of_patches)
    of_factors = time * (of_rows + of_patches + kept.rows * kept.patches) + pixels * of_columns
    return of_gradient < of_factors


def working(values: Tensor) -> Tensor:
    """Return numbers in the precision to compute with: as they are on an accelerator, on a CPU in float32 at least."""
    return wide(values) if values.device.type == "cpu" else values


def wide(values: Tensor) -> Tensor:
    """Return real numbers in float32 at least."""
    return values.float() if values.is_floating_point() and values.element_size() < 4 else values


def wide_dtype(values: Tensor) -> torch.dtype:
    """The dtype to add up in: float32 at least."""
    return torch.float32 if values.element_size() < 4 else values.dtype


def products(one: Tensor, other: Tensor) -> Tensor:
    """Matrix products, one a sample, `(batch, m, t) · (batch, t, n)`; those of 16 bits are returned in float32."""
    if one.element_size() >= 4:
        return one @ other
    if one.device.type == "cuda" and torch.version.hip is None:
        return torch.bmm(one, other, out_dtype=torch.float32)
    return wide(one) @ wide(other)


def squares(values: Tensor) -> Tensor:
    """Sums of squares `(batch,)` of what belongs to each sample."""
    flat = wide(values).flatten(1)
    return torch.linalg.vecdot(flat, flat)


def positions_that_pay(shape: Shape) -> int:
    """Up to this many positions, inner products between positions (time² · (rows + columns)) cost less than G."""
    return max(1, shape[0] * shape[1] // (shape[0] + shape[1]))


def norms_by_positions(left: Tensor, right: Tensor) -> Tensor:
    """Squared norms of Σ_t left_t right_tᵀ, `(batch,)`, from the inner products between positions.

    right: of each sample, or one for all.
    """
    return (products(left, left.transpose(1, 2)) * products(right, right.transpose(1, 2))).sum((1, 2))
