"""Gradients that are sums of outer products over positions t, G = Σ_t l_t r_tᵀ: of linear layers and embeddings.

Sketch and exact norms follow from the factors without G; where G itself is cheaper it is formed for a few samples at a
time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import (
    ComputedFactor,
    Factor,
    Kept,
    Projections,
    Shape,
    ThroughFactor,
    canonical,
    norms_by_positions,
    positions_that_pay,
    products,
    projecting_gradient_pays,
    squares,
    wide,
    working,
)
from oga_core.tasks.cross_entropy import logit_gradients, rows_at_a_time


@dataclass
class ProductFactor(Factor):
    """G = Σ_t left_t right_tᵀ: a linear layer with `left` the gradient at its output and `right` its input.

    left: `(batch, time, rows)`; right: `(batch, time, columns)`.
    """

    left: Tensor
    right: Tensor

    @property
    def shape(self) -> Shape:
        return self.left.shape[2], self.right.shape[2], 1

    @property
    def device(self) -> torch.device:
        return self.left.device

    def __len__(self) -> int:
        return len(self.left)

    @property
    def explicit_is_shorter(self) -> bool:
        return self.left.shape[1] > positions_that_pay(self.shape)

    @property
    def suits_sketch_of_gradient(self) -> bool:
        return projecting_gradient_pays(self.shape, self.left.shape[1], self.left.shape[1])

    def explicit(self, rows: slice) -> Tensor:
        return products(self.left[rows].transpose(1, 2), self.right[rows])[..., None]

    def sketch(self, name: str, projections: Projections) -> Tensor:
        sides = Kept.of(self.shape)
        left = projections.project(name, "left", self.left, sides.rows)
        distinct = self.right[:1] if self.has_one_right else self.right
        right = projections.project(name, "right", distinct, sides.columns)
        return products(left.transpose(1, 2), right.expand(len(left), -1, -1)).flatten(1)

    @property
    def has_one_right(self) -> bool:
        """Whether all samples share `right`, expanded from one, as a table of positions is."""
        return self.right.stride(0) == 0

    def squared_norms(self) -> Tensor:
        if self.explicit_is_shorter:
            return super().squared_norms()
        if self.left.shape[1] == 1:
            return squares(self.left) * squares(self.right)
        return norms_by_positions(self.left, self.right[:1] if self.has_one_right else self.right)

    def part(self, rows: slice) -> ProductFactor:
        return ProductFactor(self.left[rows], self.right[rows])

    def transposed(self) -> ProductFactor:
        return ProductFactor(self.right, self.left)


@dataclass
class LookupFactor(Factor):
    """An embedding: row `indices[t]` of the parameter gets `right_t`; `(batch, time)` and `(batch, time, columns)`."""

    indices: Tensor
    right: Tensor
    n_rows: int

    @property
    def shape(self) -> Shape:
        return self.n_rows, self.right.shape[2], 1

    @property
    def device(self) -> torch.device:
        return self.right.device

    def __len__(self) -> int:
        return len(self.right)

    def explicit(self, rows: slice) -> Tensor:
        right = wide(self.right[rows])
        result = right.new_zeros(len(right), *self.shape[:2])
        return result.scatter_add_(1, self.indices[rows, :, None].expand_as(right), right)[..., None]

    def sketch(self, name: str, projections: Projections) -> Tensor:
        sides = Kept.of(self.shape)
        right = projections.project(name, "right", self.right, sides.columns)
        if self.n_rows > sides.rows:
            left = projections.matrix(name, "left", self.n_rows, sides.rows, right.dtype)[self.indices]
        else:
            left = torch.nn.functional.one_hot(self.indices, self.n_rows).to(right.dtype)
        return products(left.transpose(1, 2), right).flatten(1)

    def squared_norms(self) -> Tensor:
        return squares(self.token_gradients())

    @property
    def explicit_is_shorter(self) -> bool:
        return False

    @property
    def suits_sketch_of_gradient(self) -> bool:
        return Kept.of(self.shape).everything

    def part(self, rows: slice) -> LookupFactor:
        return LookupFactor(self.indices[rows], self.right[rows], self.n_rows)

    def absolute_norms(self) -> Tensor:
        """L1 norms, `(batch,)`."""
        return self.token_gradients().abs().sum((1, 2))

    def token_gradients(self) -> Tensor:
        """Gradient rows, `(batch, time, columns)`: each looked-up row once, at its first position, zero elsewhere."""
        same = self.indices[:, :, None] == self.indices[:, None, :]
        first = same.to(torch.uint8).argmax(2) == torch.arange(same.shape[1], device=same.device)
        return products((same & first[:, :, None]).to(self.right.dtype), self.right)


@dataclass
class LateFactor(Factor):
    """Gradients of a weight whose outputs, a language model's logits, were not kept: `part` makes them again.

    A vocabulary of 150,000 takes 600 MB for the 1,000 tokens of a single sample, and its gradient as many again.

    states: the layer's input, `(batch, time, columns)`. gradient: at the losses, `(batch, time)`. targets:
    `(batch, time)`. counted: which of them have a loss, `(batch, time)`.
    """

    states: Tensor
    weight: Tensor
    bias: Tensor | None
    targets: Tensor
    counted: Tensor
    gradient: Tensor

    @property
    def shape(self) -> Shape:
        return canonical(self.weight.shape)

    @property
    def device(self) -> torch.device:
        return self.states.device

    def __len__(self) -> int:
        return len(self.states)

    @property
    def samples_at_a_time(self) -> int:
        """As many as have their logits made in one go."""
        longest = int(self.counted.sum(1).amax())
        return max(1, rows_at_a_time(len(self.weight)) // max(1, longest))

    def part(self, rows: slice) -> ProductFactor:
        """Of the tokens that have a loss: all others are left out, or add nothing where samples differ in length."""
        counted = self.counted[rows]
        longest = max(1, int(counted.sum(1).amax()))
        places = counted.int().argsort(dim=1, descending=True, stable=True)[:, :longest]
        states = self.states[rows].gather(1, places[:, :, None].expand(-1, -1, self.states.shape[2]))
        targets = self.targets[rows].where(counted, 0).gather(1, places)
        gradient = (self.gradient[rows] * counted).gather(1, places)
        flat = states.flatten(0, 1), self.weight, self.bias, targets.flatten(), gradient.flatten()
        left = working(logit_gradients(*flat).unflatten(0, targets.shape))
        return ProductFactor(left, states.to(left.dtype))

    def explicit(self, rows: slice) -> Tensor:
        return self.part(rows).explicit(slice(None))

    def of_bias(self) -> Factor:
        """The gradients of the layer's bias."""
        size = canonical(self.weight.shape[:1])
        return ComputedFactor(lambda rows: wide(self.part(rows).left).sum(1), size, len(self), self.device)


class SumFactor(Factor):
    """Several uses of one parameter: their gradients are added before any norm."""

    def __init__(self, factors: Sequence[Factor]):
        self.factors = factors

    @property
    def shape(self) -> Shape:
        return self.factors[0].shape

    @property
    def device(self) -> torch.device:
        return self.factors[0].device

    def __len__(self) -> int:
        return len(self.factors[0])

    @property
    def explicit_is_shorter(self) -> bool:
        factored = [factor for factor in self.factors if isinstance(factor, (ProductFactor, LookupFactor))]
        time = sum(factor.right.shape[1] for factor in factored)
        return len(factored) < len(self.factors) or time > positions_that_pay(self.shape)

    @property
    def suits_sketch_of_gradient(self) -> bool:
        return all(factor.suits_sketch_of_gradient for factor in self.factors)

    def explicit(self, rows: slice) -> Tensor:
        return torch.stack([factor.explicit(rows) for factor in self.factors]).sum(0)

    def sketch(self, name: str, projections: Projections) -> Tensor:
        return torch.stack([factor.sketch(name, projections) for factor in self.factors]).sum(0)

    def squared_norms(self) -> Tensor:
        if self.explicit_is_shorter:
            return super().squared_norms()
        total = torch.stack([factor.squared_norms() for factor in self.factors]).sum(0)
        for one, other in itertools.combinations(self.factors, 2):
            total += 2 * _inner(one, other)
        return total.clamp(min=0)


def combined(factors: Sequence[Factor]) -> Factor:
    """Return all gradient factors of one parameter as one."""
    joinable: list[ProductFactor] = []
    through: dict[int, ThroughFactor] = {}
    rest: list[Factor] = []
    for factor in factors:
        if isinstance(factor, ProductFactor) and not factor.has_one_right:
            joinable.append(factor)
        elif isinstance(factor, ThroughFactor):
            one = through.setdefault(id(factor.leaf), ThroughFactor(factor.leaf, []))
            one.passages.extend(factor.passages)
        else:
            rest.append(factor)
    if len(joinable) > 1:
        left = torch.cat([factor.left for factor in joinable], 1)
        rest.append(ProductFactor(left, torch.cat([factor.right for factor in joinable], 1)))
    else:
        rest += joinable
    rest += through.values()
    return rest[0] if len(rest) == 1 else SumFactor(rest)


def _inner(one: Factor, other: Factor) -> Tensor:
    """Inner products of two factors' gradients, `(batch,)`: Σ over pairs of positions of l·l' times r·r'."""
    if isinstance(one, ProductFactor) and isinstance(other, LookupFactor):
        one, other = other, one
    assert isinstance(one, (ProductFactor, LookupFactor))
    assert isinstance(other, (ProductFactor, LookupFactor))
    right = products(one.right, other.right.transpose(1, 2))
    return (_left_products(one, other) * right).sum((1, 2))


def _left_products(one: ProductFactor | LookupFactor, other: ProductFactor | LookupFactor) -> Tensor:
    """Inner products of left factors, `(batch, time of one, time of other)`; of a lookup they are unit vectors."""
    if isinstance(one, LookupFactor) and isinstance(other, LookupFactor):
        return (one.indices[:, :, None] == other.indices[:, None, :]).to(one.right.dtype)
    if isinstance(one, LookupFactor) and isinstance(other, ProductFactor):
        index = one.indices[:, None, :].expand(-1, other.left.shape[1], -1)
        return other.left.gather(2, index).transpose(1, 2)
    assert isinstance(one, ProductFactor)
    assert isinstance(other, ProductFactor)
    return products(one.left, other.left.transpose(1, 2))
