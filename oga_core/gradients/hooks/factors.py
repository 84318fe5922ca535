"""The gradient of one use of one parameter, kept as factors: what comes in and what the loss sends back.

A parameter is seen as an array (rows, columns, copies): a linear weight is (out, in, 1), a convolution's
(out, in, kernel positions), a vector (size, 1, 1). For a sum over positions t, G = Σ_t l_t r_tᵀ, sketch and exact norms
follow from the factors without G; where G itself is cheaper it is formed for a few samples at a time.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oga_core.gradients.hooks.sketching import Kept, Sketcher

Shape = tuple[int, int, int]
CHUNK_BYTES = 2 * 2**20  # of gradients that exist at a time, whatever the batch: they stay in the caches


class Use(ABC):
    """One use of a parameter by a batch of samples."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """The parameter's canonical shape."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def explicit(self, rows: slice) -> Tensor:
        """The gradient of the samples in `rows`, `(rows, *shape)`."""

    @property
    def explicit_is_shorter(self) -> bool:
        """Whether forming the gradient costs less than its norm from the factors."""
        return True

    def sketch(self, name: str, sketcher: Sketcher) -> Tensor:
        """What the sketch keeps of it before folding, `(batch, kept)`."""
        return torch.cat([sketcher.gradient(name, self.explicit(rows)) for rows in chunks(self)])

    def squared_norms(self) -> Tensor:
        """Squared L2 norms, `(batch,)`."""
        return torch.cat([self.explicit(rows).flatten(1).square().sum(1) for rows in chunks(self)])


def canonical(shape: Sequence[int]) -> Shape:
    """Return (rows, columns, copies) for a parameter's shape."""
    rows, columns, *rest = (*shape, 1, 1)
    return rows, columns, math.prod(rest)


def chunks(use: Use) -> Iterator[slice]:
    """Yield slices of samples whose gradients fit into `CHUNK_BYTES`."""
    step = max(1, CHUNK_BYTES // (4 * math.prod(use.shape)))
    for start in range(0, len(use), step):
        yield slice(start, min(start + step, len(use)))


@dataclass
class DirectUse(Use):
    """A small parameter's gradient as it is, `(batch, *parameter shape)`."""

    values: Tensor
    size: Shape

    @property
    def shape(self) -> Shape:
        return self.size

    def __len__(self) -> int:
        return len(self.values)

    def explicit(self, rows: slice) -> Tensor:
        return self.values[rows].reshape(-1, *self.shape)


@dataclass
class ComputedUse(Use):
    """A gradient that `compute` forms for a slice of samples, as through a function of the parameter."""

    compute: Callable[[slice], Tensor]
    size: Shape
    n_samples: int

    @property
    def shape(self) -> Shape:
        return self.size

    def __len__(self) -> int:
        return self.n_samples

    def explicit(self, rows: slice) -> Tensor:
        return self.compute(rows).reshape(-1, *self.shape)


@dataclass
class ProductUse(Use):
    """G = Σ_t left_t right_tᵀ: a linear layer with `left` the gradient at its output and `right` its input.

    left: `(batch, time, rows)`; right: `(batch, time, columns)`.
    """

    left: Tensor
    right: Tensor

    @property
    def shape(self) -> Shape:
        return self.left.shape[2], self.right.shape[2], 1

    def __len__(self) -> int:
        return len(self.left)

    @property
    def explicit_is_shorter(self) -> bool:
        return self.left.shape[1] > positions_that_pay(self.shape)

    def explicit(self, rows: slice) -> Tensor:
        return (self.left[rows].transpose(1, 2) @ self.right[rows])[..., None]

    def sketch(self, name: str, sketcher: Sketcher) -> Tensor:
        kept = Kept.of(self.shape)
        left = sketcher.project(name, "left", self.left, kept.rows)
        right = sketcher.project(name, "right", self.right, kept.columns)
        return (left.transpose(1, 2) @ right).flatten(1)

    def squared_norms(self) -> Tensor:
        if self.explicit_is_shorter:
            return super().squared_norms()
        if self.left.shape[1] == 1:
            return self.left.square().sum((1, 2)) * self.right.square().sum((1, 2))
        return _dot(_gram(self.left, self.left), _gram(self.right, self.right))

    def transposed(self) -> ProductUse:
        """The use of the transposed parameter."""
        return ProductUse(self.right, self.left)


@dataclass
class LookupUse(Use):
    """An embedding: row `indices[t]` of the parameter gets `right_t`; `(batch, time)` and `(batch, time, columns)`."""

    indices: Tensor
    right: Tensor
    n_rows: int

    @property
    def shape(self) -> Shape:
        return self.n_rows, self.right.shape[2], 1

    def __len__(self) -> int:
        return len(self.right)

    def explicit(self, rows: slice) -> Tensor:
        right = self.right[rows]
        result = right.new_zeros(len(right), *self.shape[:2])
        return result.scatter_add_(1, self.indices[rows, :, None].expand_as(right), right)[..., None]

    def sketch(self, name: str, sketcher: Sketcher) -> Tensor:
        kept = Kept.of(self.shape)
        right = sketcher.project(name, "right", self.right, kept.columns)
        if self.n_rows > kept.rows:
            left = sketcher.matrix(name, "left", self.n_rows, kept.rows)[self.indices]
        else:
            left = torch.nn.functional.one_hot(self.indices, self.n_rows).to(right.dtype)
        return (left.transpose(1, 2) @ right).flatten(1)

    def squared_norms(self) -> Tensor:
        return self.token_gradients().square().sum((1, 2))

    @property
    def explicit_is_shorter(self) -> bool:
        return False

    def absolute_norms(self) -> Tensor:
        """L1 norms, `(batch,)`."""
        return self.token_gradients().abs().sum((1, 2))

    def token_gradients(self) -> Tensor:
        """Gradient rows, `(batch, time, columns)`: each looked-up row once, at its first position, zero elsewhere."""
        same = self.indices[:, :, None] == self.indices[:, None, :]
        first = same.to(torch.uint8).argmax(2) == torch.arange(same.shape[1], device=same.device)
        return (same & first[:, :, None]).to(self.right.dtype) @ self.right


class SumUse(Use):
    """Several uses of one parameter: their gradients are added before any norm."""

    def __init__(self, uses: Sequence[Use]):
        self.uses = uses

    @property
    def shape(self) -> Shape:
        return self.uses[0].shape

    def __len__(self) -> int:
        return len(self.uses[0])

    @property
    def explicit_is_shorter(self) -> bool:
        factored = [use for use in self.uses if isinstance(use, (ProductUse, LookupUse))]
        time = sum(use.right.shape[1] for use in factored)
        return len(factored) < len(self.uses) or time > positions_that_pay(self.shape)

    def explicit(self, rows: slice) -> Tensor:
        return torch.stack([use.explicit(rows) for use in self.uses]).sum(0)

    def sketch(self, name: str, sketcher: Sketcher) -> Tensor:
        return torch.stack([use.sketch(name, sketcher) for use in self.uses]).sum(0)

    def squared_norms(self) -> Tensor:
        if self.explicit_is_shorter:
            return super().squared_norms()
        total = torch.stack([use.squared_norms() for use in self.uses]).sum(0)
        for one, other in itertools.combinations(self.uses, 2):
            total += 2 * _inner(one, other)
        return total.clamp(min=0)


def combined(uses: Sequence[Use]) -> Use:
    """Return all uses of one parameter as one."""
    products = [use for use in uses if isinstance(use, ProductUse)]
    rest = [use for use in uses if not isinstance(use, ProductUse)]
    if len(products) > 1:
        left, right = torch.cat([use.left for use in products], 1), torch.cat([use.right for use in products], 1)
        rest.append(ProductUse(left, right))
    else:
        rest += products
    return rest[0] if len(rest) == 1 else SumUse(rest)


def positions_that_pay(shape: Shape) -> int:
    """Up to this many positions, inner products between positions (time² · (rows + columns)) cost less than G."""
    return max(1, shape[0] * shape[1] // (shape[0] + shape[1]))


def _gram(one: Tensor, other: Tensor) -> Tensor:
    return one @ other.transpose(1, 2)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum((1, 2))


def _inner(one: Use, other: Use) -> Tensor:
    """Inner products of two uses' gradients, `(batch,)`."""
    if isinstance(one, ProductUse) and isinstance(other, LookupUse):
        one, other = other, one
    if isinstance(one, LookupUse) and isinstance(other, ProductUse):
        index = one.indices[:, None, :].expand(-1, other.left.shape[1], -1)
        left = other.left.gather(2, index).transpose(1, 2)  # (batch, time of one, time of other)
        return _dot(left, _gram(one.right, other.right))
    if isinstance(one, LookupUse) and isinstance(other, LookupUse):
        left = (one.indices[:, :, None] == other.indices[:, None, :]).to(one.right.dtype)
        return _dot(left, _gram(one.right, other.right))
    assert isinstance(one, ProductUse)
    assert isinstance(other, ProductUse)
    return _dot(_gram(one.left, other.left), _gram(one.right, other.right))
