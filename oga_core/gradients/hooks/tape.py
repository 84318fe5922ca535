"""Where the per-sample gradients of parameters go while a forward pass is watched: what every rule writes on.

A rule for a function asks where its input holds the batch (`Site`), announces the parameters that it meets (`route`)
and hangs a hook on the output (`on_tape`), which makes gradient factors of what the backward pass sends.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import DirectFactor, Factor, canonical, wide
from oga_core.gradients.hooks.calls import Call, with_tensors
from oga_core.gradients.hooks.layouts import Layout, Layouts, per_sample

LARGEST_EXPANSION = 16 * 2**20  # numbers in the per-sample gradients of a parameter that is copied for each sample
F = TypeVar("F", bound=Factor)
Take = Callable[[Factor], None]
Make = Callable[[Factor], Factor]
State = tuple[Tensor, ...]
Run = Callable[..., tuple[State, Callable[[State], State]]]
Back = Callable[[Tensor, bool], Tensor | None]  # None is asked for where no gradient is wanted
Consume = Callable[[str, list[Factor]], None]


class OverwrittenError(RuntimeError):
    """A layer's input was changed in place after the layer used it, so its gradient cannot be formed from it."""


@dataclass(frozen=True)
class Sink:
    """Where the per-sample gradient of one tensor goes: the parameters behind it, each with its factor made of it."""

    shape: tuple[int, ...]
    routes: Mapping[str, Make]


class Tape:
    """Collects gradient factors of the `parameters` (by name) that a forward pass of `n` samples meets.

    consume: called in the backward pass with a parameter's name and all its factors, once they are complete.
    missed: names of parameters met by functions without a rule; their gradient is incomplete.
    """

    def __init__(self, parameters: Mapping[str, Tensor], n: int, layouts: Layouts, consume: Consume):
        self.n = n
        self.layouts = layouts
        self.consume = consume
        self.missed: set[str] = set()
        self._sinks = {id(p): Sink(tuple(p.shape), {name: _as_it_is}) for name, p in parameters.items()}
        self._parameters = parameters  # keeps the ids alive
        self._expected: defaultdict[str, int] = defaultdict(int)
        self._factors: defaultdict[str, list[Factor]] = defaultdict(list)
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
        """Hand over what waits for factors that got no gradient, or for the tapes of derived tensors."""
        for name in list(self._factors):
            self._hand_over(name)

    def sink(self, tensor: Any) -> Sink | None:
        """Return where the gradient of a parameter or derived tensor goes, None for any other."""
        if not isinstance(tensor, Tensor):
            return None
        return self._sinks.get(id(tensor)) or getattr(tensor, "_oga_sink", None)

    def layout(self, shape: Sequence[int]) -> Layout | None:
        """Return where the batch is in the input of this call; to be asked once a call, in order."""
        self._calls += 1
        return self.layouts.find(self._calls, shape, self.n)

    def route(self, sink: Sink) -> Take:
        """Announce a factor of what `sink` stands for; the function returned takes it, in the backward pass."""
        for name in sink.routes:
            self._expected[name] += 1
            self.layouts.belongs(self._calls, name)

        def take(factor: Factor) -> None:
            for name, make in sink.routes.items():
                self._factors[name].append(make(factor))
                if len(self._factors[name]) == self._expected[name]:
                    self._hand_over(name)

        return take

    def on_tape(self, output: Tensor, hook: Callable[[Tensor], None]) -> Tensor:
        """Have `hook` called with the gradient at `output`; the tape starts here if it has not yet."""
        if not output.requires_grad:
            output = _Start.apply(output, self._token)
        output.register_hook(hook)
        return output

    def through(self, data: Tensor, output: Tensor, back: Back) -> Tensor:
        """Return `output`, a function of `data` without a tape; `back` turns the gradient at it into that at `data`."""
        return _Through.apply(data, self._token, output, back)

    def through_all(self, inputs: State, run: Run) -> State:
        """Return what `run` makes of the inputs; the function that it also returns gives back a gradient for each."""
        outputs: State = _ThroughAll.apply(self._token, run, *inputs)
        return outputs

    def expanded(self, tensor: Tensor, shape: Sequence[int], axis: int, layout: Layout) -> Tensor | None:
        """Return a parameter repeated along `axis` of `shape`, on the tape, so that every sample has its own gradient.

        None where the parameter has an axis of its own there, or where the gradients would be too large.
        """
        sink = self._sink_of(tensor)
        aligned = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
        too_large = self.n * tensor.numel() > max(math.prod(shape), LARGEST_EXPANSION)
        if aligned[axis] != 1 or too_large:
            return None
        take = self.route(sink)
        copies = tensor.detach().reshape(aligned).expand(*aligned[:axis], shape[axis], *aligned[axis + 1 :])

        def hook(gradient: Tensor) -> None:
            values = per_sample(wide(gradient).movedim(axis, 0), layout, self.n)
            take(DirectFactor(values.reshape(self.n, *sink.shape), canonical(sink.shape)))

        copies.requires_grad_().register_hook(hook)
        return copies

    def miss(self, tensor: Tensor) -> Tensor:
        """Count a parameter's gradient as incomplete and return its values; any other tensor as it is."""
        sink = self.sink(tensor)
        if sink is None:
            return tensor
        self.missed.update(sink.routes)
        return tensor.detach()

    def run_missed(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function without a rule for these arguments."""
        values = {name: with_tensors(value, self.miss) for name, value in kwargs.items()}
        return func(*(with_tensors(value, self.miss) for value in args), **values)

    def mark(self, values: Tensor, sink: Sink) -> Tensor:
        """Note where the gradient of a derived tensor goes."""
        values._oga_sink = sink  # type: ignore[attr-defined]
        return values

    def derived(self, tensor: Tensor, values: Tensor, make: Make) -> Tensor:
        """Mark `values` as a function of `tensor`; `make` turns its gradient factor into one of `tensor`."""
        return self.mark(values, Sink(tuple(values.shape), self.routes_before(tensor, make)))

    def routes_before(self, tensor: Tensor, make: Make) -> dict[str, Make]:
        """Return the routes of a tensor, each with `make` before it."""
        routes = self._sink_of(tensor).routes
        make = once(make)
        return {name: lambda factor, after=after: after(make(factor)) for name, after in routes.items()}  # type: ignore[misc]

    def _sink_of(self, tensor: Tensor) -> Sink:
        sink = self.sink(tensor)
        assert sink is not None
        return sink

    def _hand_over(self, name: str) -> None:
        self.consume(name, self._factors.pop(name))


class Site:
    """One call: the layout of its input, kept for the backward pass, and where gradients of its parameters go."""

    def __init__(self, tape: Tape, call: Call, data: Tensor, shape: Sequence[int] | None = None):
        self.n = tape.n
        self.tape = tape
        self.call = call
        self.layout = tape.layout(shape or data.shape)
        self._data = [data.detach()]
        self._version = data._version

    def take(self, name: str) -> Take | None:
        """Return what takes the factor of the parameter called `name` in the call, None if it is not selected."""
        sink = self.tape.sink(self.call[name])
        return self.tape.route(sink) if sink else None

    def input(self, dtype: torch.dtype | None = None) -> Tensor:
        """The input as it was when the layer used it, real numbers as `dtype`; given away, once."""
        data = self._data.pop()
        if data._version != self._version:
            raise OverwrittenError("the input of a layer was changed in place")
        return data.to(dtype) if data.is_floating_point() else data

    def positions(self, tensor: Tensor) -> Tensor:
        """Bring `(…, size)` into `(batch, time, size)`."""
        if self.layout == "interleaved":
            tensor = tensor.unflatten(0, (-1, self.n))
        tensor = tensor.movedim(1, 0) if self.layout in (1, "interleaved") else tensor
        return tensor.reshape(self.n, -1, tensor.shape[-1])

    def per_sample(self, values: Tensor) -> Tensor:
        """Add up what belongs to one sample where the first axis holds more than the batch."""
        return per_sample(values, self.layout, self.n)


class _Start(torch.autograd.Function):
    """Begins the tape at a tensor that needs no gradient itself, without a copy."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, token: Tensor) -> Tensor:
        ctx.mark_dirty(tensor)
        return tensor

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


class _Through(torch.autograd.Function):
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, token: Tensor, output: Tensor, back: Back) -> Tensor:
        ctx.back = back
        ctx.dtype = data.dtype
        ctx.mark_dirty(output)  # so that it is no view, which activations may not overwrite
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        inputs = ctx.back(gradients[0], ctx.needs_input_grad[0])
        return None if inputs is None else inputs.to(ctx.dtype), None, None, None


class _ThroughAll(torch.autograd.Function):
    """A function of several tensors with several outputs, with gradients of its own."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, run: Run, *inputs: Tensor) -> State:
        ctx.dtypes = [tensor.dtype for tensor in inputs]
        outputs, ctx.back = run(*inputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = zip(ctx.back(gradients), ctx.dtypes, strict=True)
        return None, None, *(gradient.to(dtype) for gradient, dtype in inputs)


def once(make: Callable[[Factor], F]) -> Callable[[Factor], F]:
    """Return the same for a factor that several parameters are behind, made once."""
    last: list[tuple[Factor, F]] = []

    def made(factor: Factor) -> F:
        if not last or last[0][0] is not factor:
            last[:] = [(factor, make(factor))]
        return last[0][1]

    return made


def _as_it_is(factor: Factor) -> Factor:
    return factor
