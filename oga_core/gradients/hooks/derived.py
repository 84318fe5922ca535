"""Tensors derived from parameters before they meet data: a slice, 1 + weight, weight normalisation.

They are computed with a small tape of their own, and per-sample gradients go back through it, one sample at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import DirectFactor, Factor, Passage, ThroughFactor, canonical, vector
from oga_core.gradients.factors.products import ProductFactor, SumFactor
from oga_core.gradients.hooks.calls import LINEAR, Call, plain, tensors_in, with_tensors
from oga_core.gradients.hooks.tape import Make, Sink, Tape, once


class Derivation:
    """Runs functions of parameters alone, so that what they return leads back to the parameters on `tape`."""

    def __init__(self, tape: Tape):
        self.tape = tape
        self._leaves: dict[int, Tensor] = {}
        self._originals: dict[int, Tensor] = {}

    def __call__(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function that meets parameters but no data; what it returns is derived from them."""
        met = [tensor for tensor in tensors_in((*args, *kwargs.values())) if self.tape.sink(tensor)]
        named = {name: with_tensors(value, self._on_own_tape) for name, value in kwargs.items()}
        output = func(*(with_tensors(value, self._on_own_tape) for value in args), **named)
        for tensor in tensors_in((output,)):
            if id(tensor) in self._originals:
                return self._originals[id(tensor)]
            if tensor.requires_grad:
                self.tape.mark(tensor, self._sink_through(tensor, met))
        return output

    def _on_own_tape(self, tensor: Tensor) -> Tensor:
        """Return the tensor as functions of parameters see it: itself if derived by tape, else a leaf for it."""
        sink = self.tape.sink(tensor)
        if sink is None or tensor.requires_grad:
            return tensor
        if id(tensor) not in self._leaves:
            leaf = self.tape.mark(tensor.detach().requires_grad_(), sink)
            leaf._oga_leaves = (leaf,)  # type: ignore[attr-defined]
            self._leaves[id(tensor)] = leaf
            self._originals[id(leaf)] = tensor
        return self._leaves[id(tensor)]

    def _sink_through(self, output: Tensor, met: Sequence[Tensor]) -> Sink:
        leaves = {id(leaf): leaf for tensor in met for leaf in self._on_own_tape(tensor)._oga_leaves}  # type: ignore[attr-defined]
        output._oga_leaves = tuple(leaves.values())  # type: ignore[attr-defined]
        routes = _merged(self.tape.routes_before(leaf, _through(output, leaf)) for leaf in leaves.values())
        return Sink(tuple(output.shape), routes)


def linear_of_parameters(tape: Tape, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """A linear layer of what is no data, as of relative positions: its weight's gradient is a product here too."""
    if func not in LINEAR:
        return None
    call = Call(("input", "weight", "bias"), args, kwargs)
    data = call["input"]
    weight = call["weight"]
    bias = call["bias"]
    if weight.ndim != 2 or data.ndim < 2:
        return None
    arrived = once(partial(_at_positions, (data.shape[:-1].numel(), len(weight))))
    makes = (
        (weight, lambda factor: _of_weight(data.detach(), arrived(factor))),
        (bias, lambda factor: vector(arrived(factor).values.sum(1))),
        (data, lambda factor: _of_data(weight.detach(), data.shape, arrived(factor))),
    )
    routes = _merged(tape.routes_before(tensor, make) for tensor, make in makes if tape.sink(tensor))
    values = func(*map(plain, (data, weight, bias)))
    return tape.mark(values, Sink(tuple(values.shape), routes))


def _at_positions(shape: tuple[int, int], factor: Factor) -> DirectFactor:
    """The gradients `(samples, positions, size)`."""
    return DirectFactor(factor.explicit(slice(0, len(factor))).reshape(-1, *shape), canonical(shape))


def _of_weight(data: Tensor, arrived: DirectFactor) -> ProductFactor:
    left = arrived.values
    return ProductFactor(left, data.flatten(0, -2).to(left.dtype).expand(len(left), -1, -1))


def _of_data(weight: Tensor, shape: Sequence[int], arrived: DirectFactor) -> DirectFactor:
    values = arrived.values @ weight.to(arrived.values.dtype)
    return DirectFactor(values.reshape(-1, *shape), canonical(shape))


def _merged(parts: Iterable[dict[str, Make]]) -> dict[str, Make]:
    routes: dict[str, Make] = {}
    for part in parts:
        for name, make in part.items():
            routes[name] = _both(routes[name], make) if name in routes else make
    return routes


def _both(one: Make, other: Make) -> Make:
    return lambda factor: SumFactor([one(factor), other(factor)])


def _through(output: Tensor, leaf: Tensor) -> Make:
    """Return what makes a factor of `leaf` of a factor of `output`, which is a function of it."""
    edge = torch.autograd.graph.get_gradient_edge(output)
    shape = tuple(output.shape)
    dtype = output.dtype
    return lambda factor: ThroughFactor(leaf, [Passage(edge, shape, dtype, factor)])
