"""Tensors derived from parameters before they meet data: a slice, 1 + weight, weight normalisation.

They are computed with a small tape of their own, and per-sample gradients go back through it, one sample at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import ComputedFactor, Factor, canonical
from oga_core.gradients.factors.products import SumFactor
from oga_core.gradients.hooks.calls import tensors_in, with_tensors
from oga_core.gradients.hooks.tape import Make, Sink, Tape


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
        routes: dict[str, Make] = {}
        for leaf in leaves.values():
            for name, make in self.tape.routes_before(leaf, _through(output, leaf)).items():
                routes[name] = _both(routes[name], make) if name in routes else make
        return Sink(tuple(output.shape), routes)


def _both(one: Make, other: Make) -> Make:
    return lambda factor: SumFactor([one(factor), other(factor)])


def _through(output: Tensor, leaf: Tensor) -> Make:
    """Return what makes a factor of `leaf` of a factor of `output`, which is a function of it."""
    # The graph holds its output, not the other way round: a reference to the marked tensor itself would be a cycle.
    origin = torch.autograd.graph.get_gradient_edge(output)
    shape = tuple(output.shape)
    dtype = output.dtype

    def back(gradient: Tensor) -> Tensor:
        part = torch.autograd.grad(origin, leaf, gradient.to(dtype), retain_graph=True, allow_unused=True)[0]
        return torch.zeros_like(leaf) if part is None else part

    def make(factor: Factor) -> Factor:
        def compute(rows: slice) -> Tensor:
            explicit = factor.explicit(rows)
            return torch.stack([back(gradient.reshape(shape)) for gradient in explicit]).to(explicit.dtype)

        return ComputedFactor(compute, canonical(leaf.shape), len(factor), factor.device)

    return make
