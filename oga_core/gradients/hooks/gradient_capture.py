"""Watches a forward pass and turns what the backward pass sends into uses of parameters, without weight gradients.

Selected parameters do not require gradients while it watches. Where a function meets one, the tape starts at its output
and a hook on that output, set at once (an activation may later overwrite it in place), makes a `Use` of what comes
back. Parameters are known by identity: shared layers, tied weights and functional calls need nothing special.

A parameter may also be changed before it meets data (a slice, 1 + weight, weight normalisation). Such tensors are
*derived*: they are computed with a small tape of their own, and per-sample gradients go back through it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from oga_core.gradients.hooks import rules
from oga_core.gradients.hooks.calls import Layout, per_sample
from oga_core.gradients.hooks.factors import ComputedUse, DirectUse, LookupUse, ProductUse, SumUse, Use, canonical
from oga_core.gradients.hooks.layouts import Layouts

LARGEST_EXPANSION = 16 * 2**20  # numbers in the per-sample gradients of a parameter that is copied for each sample
Consume = Callable[[str, list[Use]], None]


@dataclass(frozen=True)
class Sink:
    """Where the per-sample gradient of one tensor goes: the parameters behind it, each with the use it makes."""

    shape: tuple[int, ...]
    routes: Mapping[str, Callable[[Use], Use]]


class GradientCapture(TorchFunctionMode):
    """Makes uses of the `parameters` (by name) that a forward pass of `n` samples meets.

    consume: called in the backward pass with a parameter's name and all its uses, once they are complete.
    missed: names of parameters met by functions without a rule; their gradient is incomplete.
    """

    def __init__(self, parameters: Mapping[str, Tensor], n: int, layouts: Layouts, consume: Consume):
        super().__init__()
        self.n, self.layouts, self.consume = n, layouts, consume
        self.missed: set[str] = set()
        self._sinks = {id(p): Sink(tuple(p.shape), {name: _as_it_is}) for name, p in parameters.items()}
        self._parameters = parameters  # keeps the ids alive
        self._expected: defaultdict[str, int] = defaultdict(int)
        self._uses: defaultdict[str, list[Use]] = defaultdict(list)
        self._leaves: dict[int, Tensor] = {}
        self._originals: dict[int, Tensor] = {}
        self._calls = 0
        device = next(iter(parameters.values())).device if parameters else torch.device("cpu")
        self._token = torch.zeros((), device=device, requires_grad=True)

    def watch(self, tensors: Iterable[Any]) -> None:
        """Say which tensors hold the batch."""
        for tensor in tensors:
            if isinstance(tensor, Tensor):
                tensor._oga_data = True  # type: ignore[attr-defined]

    def end(self) -> None:
        """Say that the forward pass is over."""
        self.layouts.end(self._calls)

    def finish(self) -> None:
        """Hand over what waits for uses that got no gradient, or for the tapes of derived tensors."""
        for name in list(self._uses):
            self._hand_over(name)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = list(_tensors(args)) + (list(_tensors(kwargs.values())) if kwargs else [])
        met = [tensor for tensor in tensors if self.sink(tensor) is not None]
        data = any(_is_data(tensor) for tensor in tensors)
        if not met or not torch.is_grad_enabled():
            output = func(*args, **kwargs)
        elif not data:
            return self.derive(func, args, kwargs)
        else:
            output = rules.apply(self, func, args, kwargs)
        if data:
            self.watch(_tensors((output,)))
            if func in rules.WRITES:
                self.watch(args[:1])
        return output

    def sink(self, tensor: Any) -> Sink | None:
        """Return where the gradient of a parameter or derived tensor goes, None for any other."""
        if not isinstance(tensor, Tensor):
            return None
        return self._sinks.get(id(tensor)) or getattr(tensor, "_oga_sink", None)

    def layout(self, shape: Sequence[int]) -> Layout | None:
        """Return where the batch is in the input of this call; to be asked once a call, in order."""
        self._calls += 1
        return self.layouts.find(self._calls, shape, self.n)

    def route(self, sink: Sink) -> Callable[[Use], None]:
        """Announce a use of what `sink` stands for; the function returned takes it, in the backward pass."""
        for name in sink.routes:
            self._expected[name] += 1
            self.layouts.belongs(self._calls, name)

        def take(use: Use) -> None:
            for name, make in sink.routes.items():
                self._uses[name].append(make(use))
                if len(self._uses[name]) == self._expected[name]:
                    self._hand_over(name)

        return take

    def on_tape(self, output: Tensor, hook: Callable[[Tensor], None]) -> Tensor:
        """Have `hook` called with the gradient at `output`; the tape starts here if it has not yet."""
        if not output.requires_grad:
            output = _Start.apply(output, self._token)
        output.register_hook(hook)
        return output

    def expanded(self, tensor: Tensor, shape: Sequence[int], axis: int, layout: Layout) -> Tensor | None:
        """Return a parameter repeated along `axis` of `shape`, on the tape, so that every sample has its own gradient.

        None where the parameter has an axis of its own there, or where the gradients would be too large.
        """
        sink = self.sink(tensor)
        assert sink is not None
        aligned = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
        too_large = self.n * tensor.numel() > max(math.prod(shape), LARGEST_EXPANSION)
        if aligned[axis] != 1 or too_large:
            return None
        take = self.route(sink)
        copies = tensor.detach().reshape(aligned).expand(*aligned[:axis], shape[axis], *aligned[axis + 1 :])

        def hook(gradient: Tensor) -> None:
            values = per_sample(gradient.float().movedim(axis, 0), layout, self.n)
            take(DirectUse(values.reshape(self.n, *sink.shape), canonical(sink.shape)))

        copies.requires_grad_().register_hook(hook)
        return copies

    def miss(self, tensor: Tensor) -> Tensor:
        """Count a parameter's gradient as incomplete and return its values."""
        sink = self.sink(tensor)
        assert sink is not None
        self.missed.update(sink.routes)
        return tensor.detach()

    def transposed(self, tensor: Tensor, values: Tensor) -> Tensor:
        """Mark `values` as the transpose of a matrix."""
        return self._marked(values, Sink(tuple(values.shape), self._routes_before(tensor, _transposed)))

    def looked_up(self, table: Tensor, indices: Tensor, values: Tensor, padding: int | None) -> Tensor:
        """Mark `values` as rows of a table, the same ones for every sample."""
        make = _looked_up(indices, len(table), padding)
        return self._marked(values, Sink(tuple(values.shape), self._routes_before(table, make)))

    def derive(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run a function that meets parameters but no data; what it returns is derived from them."""
        simple = rules.derive(self, func, args, kwargs)
        if simple is not None:
            return simple[0]
        met = [tensor for tensor in _tensors((*args, *kwargs.values())) if self.sink(tensor)]
        own = {name: _replaced(value, self._on_own_tape) for name, value in kwargs.items()}
        output = func(*(_replaced(value, self._on_own_tape) for value in args), **own)
        for tensor in _tensors((output,)):
            if id(tensor) in self._originals:
                return self._originals[id(tensor)]
            if tensor.requires_grad:
                self._marked(tensor, self._sink_through(tensor, met))
        return output

    def _marked(self, values: Tensor, sink: Sink) -> Tensor:
        values._oga_sink = sink  # type: ignore[attr-defined]
        return values

    def _routes_before(self, tensor: Tensor, make: Callable[[Use], Use]) -> dict[str, Callable[[Use], Use]]:
        sink = self.sink(tensor)
        assert sink is not None
        return {name: lambda use, after=after: after(make(use)) for name, after in sink.routes.items()}  # type: ignore[misc]

    def _on_own_tape(self, tensor: Tensor) -> Tensor:
        """Return the tensor as functions of parameters see it: itself if derived by tape, else a leaf for it."""
        sink = self.sink(tensor)
        if sink is None or tensor.requires_grad:
            return tensor
        if id(tensor) not in self._leaves:
            leaf = self._marked(tensor.detach().requires_grad_(), sink)
            leaf._oga_leaves = (leaf,)  # type: ignore[attr-defined]
            self._leaves[id(tensor)] = leaf
            self._originals[id(leaf)] = tensor
        return self._leaves[id(tensor)]

    def _sink_through(self, output: Tensor, met: Sequence[Tensor]) -> Sink:
        leaves = {id(leaf): leaf for tensor in met for leaf in self._on_own_tape(tensor)._oga_leaves}  # type: ignore[attr-defined]
        output._oga_leaves = tuple(leaves.values())  # type: ignore[attr-defined]
        routes: dict[str, Callable[[Use], Use]] = {}
        for leaf in leaves.values():
            for name, make in self._routes_before(leaf, _through(output, leaf)).items():
                routes[name] = _both(routes[name], make) if name in routes else make
        return Sink(tuple(output.shape), routes)

    def _hand_over(self, name: str) -> None:
        self.consume(name, self._uses.pop(name))


class _Start(torch.autograd.Function):
    """Begins the tape at a tensor that needs no gradient itself, without a copy."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, token: Tensor) -> Tensor:
        ctx.mark_dirty(tensor)
        return tensor

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


def _as_it_is(use: Use) -> Use:
    return use


def _both(one: Callable[[Use], Use], other: Callable[[Use], Use]) -> Callable[[Use], Use]:
    return lambda use: SumUse([one(use), other(use)])


def _through(output: Tensor, leaf: Tensor) -> Callable[[Use], Use]:
    """Return what makes a use of `leaf` of a use of `output`, which is a function of it."""
    # The graph holds its output, not the other way round: a reference to the marked tensor itself would be a cycle.
    origin, shape = torch.autograd.graph.get_gradient_edge(output), tuple(output.shape)

    def back(gradient: Tensor) -> Tensor:
        part = torch.autograd.grad(origin, leaf, gradient.to(output_dtype), retain_graph=True, allow_unused=True)[0]
        return torch.zeros_like(leaf) if part is None else part

    output_dtype = output.dtype

    def make(use: Use) -> Use:
        def compute(rows: slice) -> Tensor:
            return torch.stack([back(gradient.reshape(shape)) for gradient in use.explicit(rows)])

        return ComputedUse(compute, canonical(leaf.shape), len(use))

    return make


def _transposed(use: Use) -> Use:
    if isinstance(use, ProductUse):
        return use.transposed()
    rows, columns, _ = use.shape
    return ComputedUse(lambda part: use.explicit(part).transpose(1, 2), (columns, rows, 1), len(use))


def _looked_up(indices: Tensor, n_rows: int, padding: int | None) -> Callable[[Use], Use]:
    flat = indices.flatten()

    def make(use: Use) -> Use:
        right = use.explicit(slice(0, len(use))).reshape(len(use), len(flat), -1)
        if padding is not None:
            right = right.masked_fill((flat == padding)[:, None], 0)
        return LookupUse(flat.expand(len(use), -1), right, n_rows)

    return make


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _is_data(tensor: Tensor) -> bool:
    if hasattr(tensor, "_oga_data"):
        return True
    return tensor.requires_grad and not hasattr(tensor, "_oga_sink")


def _replaced(value: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return replace(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_replaced(item, replace) for item in value) if type(value) in (tuple, list) else value
    return value
