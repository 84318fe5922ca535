"""Recurrent layers: the weights' gradients are sums of outer products over time, of what the gates get back.

A layer is computed again step by step, with its input projected for all steps at once. (Opacus rebuilds these layers
too, from linear layers a step.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import vector, wide_dtype, working
from oga_core.gradients.factors.products import ProductFactor
from oga_core.gradients.hooks.calls import Call, plain_name
from oga_core.gradients.hooks.layouts import Packed, packed_sequences
from oga_core.gradients.hooks.recurrent.cells import State, Weights
from oga_core.gradients.hooks.recurrent.walk import Walk
from oga_core.gradients.hooks.tape import OverwrittenError, Site, Tape

aten = torch.ops.aten
Positions = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Direction:
    """Runs a layer over data `(time, batch, size)`, on the tape.

    positions: bring `(time, batch, size)` into `(samples, positions, size)`. packed: of sequences that end before
    others, whose state then stays as it is. backwards: from the last step to the first.
    """

    tape: Tape
    positions: Positions
    kind: str
    weights: Weights
    packed: Packed | None = None
    backwards: bool = False

    def __call__(self, data: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the outputs `(time, batch, size)` and the last state."""
        outputs, *last = self.tape.through_all((self._turned(data), *state), self._run)
        return self._turned(outputs), tuple(last)

    def _run(self, data: Tensor, *state: Tensor) -> tuple[State, Callable[[State], State]]:
        """Outputs and last state, and the function that turns their gradients into those of data and first state."""
        alive = None if self.packed is None else self._turned(self.packed.alive)
        walk = Walk(self.kind, self.weights.values(), alive)
        data = data.detach()
        version = data._version
        made = walk.forwards(data, state)
        to_input = self._receive(self.weights.of_input, self.weights.input_bias)
        to_state = self._receive(self.weights.of_state, self.weights.state_bias)
        to_projection = self._receive(self.weights.projection, None)

        def back(received: State) -> State:
            if data._version != version:
                raise OverwrittenError("the input of a recurrent layer was changed in place")
            gates, at_outputs, first = walk.back(received)
            at_state = gates[:, :, : walk.cell.n_gates].flatten(2)
            at_input = walk.at_input(gates).flatten(2)
            to_input(at_input, data)
            to_state(at_state, torch.stack(walk.before))
            if walk.unprojected:
                to_projection(at_outputs, torch.stack(walk.unprojected))
            return (at_input @ walk.weights.of_input, *first)

        return made, back

    def _turned(self, values: Tensor) -> Tensor:
        return values.flip(0) if self.backwards else values

    def _receive(self, weight: Tensor | None, bias: Tensor | None) -> Callable[[Tensor, Tensor], None]:
        """Return what makes factors of the gradient at a product's output and the product's input, over all steps."""
        takes = [self.tape.route(sink) if (sink := self.tape.sink(part)) else None for part in (weight, bias)]

        def receive(gradient: Tensor, inputs: Tensor) -> None:
            gradient = self.positions(working(gradient))
            if takes[0]:
                takes[0](ProductFactor(gradient, self.positions(inputs.to(gradient.dtype))))
            if takes[1]:
                takes[1](vector(gradient.sum(1, dtype=wide_dtype(gradient))))

        return receive


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
    data = data.transpose(0, 1) if batch_first else data
    outputs, last = _layers(tape, func, call, data, _positions(site, batch_first))
    return outputs.transpose(0, 1) if batch_first else outputs, *last


def _over_packed(tape: Tape, func: Any, call: Call) -> Any:
    """The same over packed sequences."""
    if not _suits(tape, call, call["input"]):
        return None
    packed = packed_sequences(call["input"], call["batch_sizes"], tape.n)
    if packed is None:
        return None
    tape.layout((tape.n, 1))
    outputs, last = _layers(tape, func, call, packed.padded, packed.of_samples, packed)
    return packed.again(outputs), *last


def _suits(tape: Tape, call: Call, data: Tensor) -> bool:
    has_dropout = call["train"] and call["dropout"]
    is_derived = any(map(tape.sink, (data, *_as_tuple(call["hx"]))))
    return isinstance(call["params"], (list, tuple)) and not has_dropout and not is_derived


def _layers(
    tape: Tape, func: Any, call: Call, outputs: Tensor, positions: Positions, packed: Packed | None = None
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
            direction = Direction(tape, positions, plain_name(func), weights, packed, bool(backwards))
            part, state = direction(outputs, tuple(values[len(last)] for values in states))
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
    kind = plain_name(func).removesuffix("_cell")
    _, last = Direction(tape, _positions(site, batch_first=True), kind, weights)(data[None], state)
    return last if len(last) > 1 else last[0]


def _positions(site: Site, batch_first: bool) -> Positions:
    return lambda values: site.positions(values.transpose(0, 1) if batch_first else values)


def _as_tuple(state: Any) -> State:
    return (state,) if isinstance(state, Tensor) else tuple(state)


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
