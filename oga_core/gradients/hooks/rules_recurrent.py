"""Recurrent layers: the weights' gradients are sums of outer products over time, of what the gates get back.

A layer is computed again step by step, with its input projected for all steps at once, so that one hook sees the
gradients at the gates of all steps together. (Opacus rebuilds these layers too, from linear layers a step.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import vector, wide_dtype, working
from oga_core.gradients.factors.products import ProductFactor
from oga_core.gradients.hooks.calls import Call, plain_name
from oga_core.gradients.hooks.layouts import Packed, packed_sequences
from oga_core.gradients.hooks.tape import Site, Take, Tape

aten = torch.ops.aten
State = tuple[Tensor, ...]


def lstm_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    """Long short-term memory: gates in the order input, forget, cell, output."""
    write, forget, cell, read = (inputs + hidden).chunk(4, -1)
    memory = forget.sigmoid() * state[1] + write.sigmoid() * cell.tanh()
    return read.sigmoid() * memory.tanh(), memory


def gru_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    """Gated recurrent unit: gates in the order reset, update, new."""
    reset, update, new = inputs.chunk(3, -1)
    hidden_reset, hidden_update, hidden_new = hidden.chunk(3, -1)
    fresh = (new + (reset + hidden_reset).sigmoid() * hidden_new).tanh()
    return (fresh + (update + hidden_update).sigmoid() * (state[0] - fresh),)


def tanh_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    """The simple recurrent layer."""
    return ((inputs + hidden).tanh(),)


def relu_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    """The simple recurrent layer with rectified units."""
    return ((inputs + hidden).relu(),)


_STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn_tanh": tanh_step, "rnn_relu": relu_step}


@dataclass(frozen=True)
class Weights:
    """Parameters of one layer in one direction, as the layer takes them."""

    of_input: Tensor
    of_state: Tensor
    input_bias: Tensor | None = None
    state_bias: Tensor | None = None
    projection: Tensor | None = None

    @classmethod
    def of(cls, flat: Sequence[Tensor], *, biased: bool) -> Weights:
        """Read them from the flat list of one direction."""
        biases = tuple(flat[2:4]) if biased else (None, None)
        return cls(flat[0], flat[1], biases[0], biases[1], flat[-1] if len(flat) in (3, 5) else None)


@dataclass(frozen=True)
class Direction:
    """Runs one layer in one direction over data `(time, batch, size)`, on the tape.

    packed: of sequences that end before others, whose state then stays as it is.
    """

    tape: Tape
    site: Site
    step: Callable[[Tensor, Tensor, State], State]
    weights: Weights
    batch_first: bool
    packed: Packed | None = None

    def __call__(self, data: Tensor, state: State, backwards: int = 0) -> tuple[Tensor, State]:
        """Return the outputs `(time, batch, size)` and the last state; `backwards` from the last step to the first."""
        outputs, last = self._forwards(_turned(data, backwards), state, self._ends(len(data), backwards))
        return _turned(outputs, backwards), last

    def _ends(self, n_steps: int, backwards: int) -> Sequence[Tensor | None]:
        """Which sequences go on in each step, `(batch, 1)`; None where all do."""
        return [None] * n_steps if self.packed is None else _turned(self.packed.alive, backwards).unbind(0)

    def _forwards(self, data: Tensor, state: State, ends: Sequence[Tensor | None]) -> tuple[Tensor, State]:
        weights = self.weights
        states: list[Tensor] = []
        unprojected: list[Tensor] = []
        outputs: list[Tensor] = []
        gates = self._gates(data, states)
        separate = self._probes(states, data, weights.of_state, weights.state_bias, self.step is gru_step)
        projected = self._probes(unprojected, data, weights.projection, None, weights.projection is not None)
        for inputs, at_state, at_output, alive in zip(gates, separate, projected, ends, strict=True):
            before = state
            states.append(state[0].detach())
            hidden = F.linear(state[0], weights.of_state.detach(), _values(weights.state_bias))
            state = self.step(inputs, _sum(hidden, at_state), state)
            if weights.projection is not None:
                unprojected.append(state[0].detach())
                state = (_sum(F.linear(state[0], weights.projection.detach()), at_output), *state[1:])
            if alive is not None:
                state = tuple(torch.where(alive, new, old) for new, old in zip(state, before, strict=True))
            outputs.append(state[0])
        return torch.stack(outputs), state

    def _gates(self, data: Tensor, states: list[Tensor]) -> Sequence[Tensor]:
        """The projected input of each step; what it gets back belongs to the state's product too, but for a GRU."""
        weights = self.weights
        receive = [(self._receive(weights.of_input, weights.input_bias), lambda: data.detach())]
        if self.step is not gru_step:
            receive.append((self._receive(weights.of_state, weights.state_bias), lambda: torch.stack(states)))

        def hook(gradient: Tensor) -> None:
            for take, right in receive:
                take(gradient, right())

        inputs = F.linear(data, weights.of_input.detach(), _values(weights.input_bias))
        return self.tape.on_tape(inputs, hook).unbind(0)

    def _probes(
        self, inputs: list[Tensor], data: Tensor, weight: Tensor | None, bias: Tensor | None, wanted: bool
    ) -> Sequence[Tensor | None]:
        """Zeros to add to a product's output in each step, which get back what the output does."""
        if weight is None or not wanted:
            return [None] * len(data)
        take = self._receive(weight, bias)
        zeros = data.new_zeros(*data.shape[:2], len(weight))
        return self.tape.on_tape(zeros, lambda gradient: take(gradient, torch.stack(inputs))).unbind(0)

    def _receive(self, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor, Tensor], None]:
        """Return what makes factors of a gradient at a product's output and the product's input, over all steps."""
        takes = [self._route(weight), self._route(bias)]

        def receive(gradient: Tensor, inputs: Tensor) -> None:
            gradient = self._positions(working(gradient))
            if takes[0]:
                takes[0](ProductFactor(gradient, self._positions(inputs.to(gradient.dtype))))
            if takes[1]:
                takes[1](vector(gradient.sum(1, dtype=wide_dtype(gradient))))

        return receive

    def _route(self, parameter: Tensor | None) -> Take | None:
        sink = self.tape.sink(parameter)
        return self.tape.route(sink) if sink else None

    def _positions(self, values: Tensor) -> Tensor:
        if self.packed is not None:
            return self.packed.of_samples(values)
        return self.site.positions(values.transpose(0, 1) if self.batch_first else values)


def recurrent(tape: Tape, func: Any, call: Call) -> Any:
    """LSTM, GRU and simple recurrent layers of any depth, in one direction or both."""
    states = _as_tuple(call["hx"])
    if not states[0].is_floating_point():
        return _over_packed(tape, func, Call(_OF_PACKED, call.args, call.kwargs))
    data = call["input"]
    if data.ndim != 3 or not _suits(tape, call, data):
        return None
    site = Site(tape, call, data)
    batch_first = bool(call["batch_first"])
    if site.layout not in ((0, "folded", "interleaved") if batch_first else (1,)):
        return None
    outputs, last = _layers(tape, site, func, call, data.transpose(0, 1) if batch_first else data)
    return outputs.transpose(0, 1) if batch_first else outputs, *last


def _over_packed(tape: Tape, func: Any, call: Call) -> Any:
    """The same over packed sequences."""
    if not _suits(tape, call, call["input"]):
        return None
    packed = packed_sequences(call["input"], call["batch_sizes"], tape.n)
    if packed is None:
        return None
    site = Site(tape, call, call["input"], (tape.n, 1))
    outputs, last = _layers(tape, site, func, call, packed.padded, packed)
    return packed.again(outputs), *last


def _suits(tape: Tape, call: Call, data: Tensor) -> bool:
    has_dropout = call["train"] and call["dropout"]
    is_derived = any(map(tape.sink, (data, *_as_tuple(call["hx"]))))
    return isinstance(call["params"], (list, tuple)) and not has_dropout and not is_derived


def _layers(
    tape: Tape, site: Site, func: Any, call: Call, outputs: Tensor, packed: Packed | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Run all layers over data `(time, batch, size)`; return the outputs, and the last states of all layers."""
    states = _as_tuple(call["hx"])
    flat = call["params"]
    n_directions = 1 + bool(call["bidirectional"])
    size = len(flat) // (call["num_layers"] * n_directions)
    last: list[State] = []
    for _ in range(call["num_layers"]):
        read: list[Tensor] = []
        for backwards in range(n_directions):
            weights = Weights.of(flat[len(last) * size :][:size], biased=call["has_biases"])
            step = _STEPS[plain_name(func)]
            direction = Direction(tape, site, step, weights, bool(call["batch_first"]), packed)
            part, state = direction(outputs, tuple(values[len(last)] for values in states), backwards)
            read.append(part)
            last.append(state)
        outputs = torch.cat(read, -1)
    return outputs, [torch.stack(values) for values in zip(*last, strict=True)]


def cell(tape: Tape, func: Any, call: Call) -> Any:
    """One step of a recurrent layer, as a network of one's own calls it in its loop."""
    data = call["input"]
    state = _as_tuple(call["hx"])
    site = Site(tape, call, data)
    if data.ndim != 2 or site.layout is None or any(map(tape.sink, (data, *state))):
        return None
    weights = Weights(call["w_ih"], call["w_hh"], call["b_ih"], call["b_hh"])
    step = _STEPS[plain_name(func).removesuffix("_cell")]
    _, last = Direction(tape, site, step, weights, batch_first=True)(data[None], state)
    return last if len(last) > 1 else last[0]


def _as_tuple(state: Any) -> State:
    return (state,) if isinstance(state, Tensor) else tuple(state)


def _turned(values: Tensor, backwards: int) -> Tensor:
    return values.flip(0) if backwards else values


def _values(parameter: Tensor | None) -> Tensor | None:
    return None if parameter is None else parameter.detach()


def _sum(values: Tensor, probe: Tensor | None) -> Tensor:
    return values if probe is None else values + probe


_OF_LAYER = (
    *("input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first"),
)
_OF_PACKED = ("input", "batch_sizes", "hx", *_OF_LAYER[2:-1])
_OF_CELL = ("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")
_LAYERS = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
_ATEN_LAYERS = (aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)
_CELLS = (torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell)
_ATEN_CELLS = (aten.lstm_cell.default, aten.gru_cell.default, aten.rnn_tanh_cell.default, aten.rnn_relu_cell.default)
RULES: dict[Any, tuple[tuple[str, ...], Any]] = {
    **dict.fromkeys((*_LAYERS, *_ATEN_LAYERS), (_OF_LAYER, recurrent)),
    **dict.fromkeys((*_CELLS, *_ATEN_CELLS), (_OF_CELL, cell)),
}
