"""One step of each recurrent layer, there and back, without autograd: its dozens of small calls a step cost most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten
State = tuple[Tensor, ...]


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

    def values(self, dtype: torch.dtype | None = None) -> Weights:
        """The same off any tape, as `dtype`."""
        flat = (self.of_input, self.of_state, self.input_bias, self.state_bias, self.projection)
        values = (None if tensor is None else tensor.detach().to(dtype or tensor.dtype) for tensor in flat)
        return Weights(*values)  # type: ignore[arg-type]


class Cell(Protocol):
    """One step of a layer. n_gates: of the state's product; n_kept: of what `back` writes, the input's behind them."""

    n_gates: int
    n_kept: int

    def project(self, data: Tensor) -> Tensor:
        """What the gates of all steps get from data `(time, batch, size)`."""

    def step(self, inputs: Tensor, state: State) -> tuple[State, State]:
        """Return the state after the step, before any projection, and what the way back needs of it."""

    def back(self, kept: State, received: State, gates: Tensor) -> tuple[Tensor | None, State]:
        """Write what the gates get, `(batch, n_kept, size)`, of what the state after the step received.

        Returns what the state before gets past the gates, None for nothing, and what the memory before gets.
        """


@dataclass(frozen=True)
class Lstm:
    """Long short-term memory: gates in the order input, forget, cell, output."""

    weights: Weights
    n_gates = 4
    n_kept = 4

    def project(self, data: Tensor) -> Tensor:
        return F.linear(data, self.weights.of_input, _both_biases(self.weights))

    def step(self, inputs: Tensor, state: State) -> tuple[State, State]:
        gates = torch.addmm(inputs, state[0], self.weights.of_state.T)
        opened = gates.sigmoid()
        write, forget, _, read = opened.chunk(4, -1)
        cell = gates.chunk(4, -1)[2].tanh()
        memory = torch.addcmul(write * cell, forget, state[1])
        curve = memory.tanh()
        return (read * curve, memory), (opened.unflatten(-1, (4, -1)), cell, state[1], curve)

    def back(self, kept: State, received: State, gates: Tensor) -> tuple[Tensor | None, State]:
        opened, cell, before, curve = kept
        write, forget, _, read = opened.unbind(1)
        at_write, at_forget, at_cell, at_read = gates.unbind(1)
        at_memory = received[1] + aten.tanh_backward(received[0] * read, curve)
        torch.mul(at_memory, cell, out=at_write)
        torch.mul(at_memory, before, out=at_forget)
        torch.mul(received[0], curve, out=at_read)
        at_cell.zero_()
        aten.sigmoid_backward.grad_input(gates, opened, grad_input=gates)
        aten.tanh_backward.grad_input(at_memory * write, cell, grad_input=at_cell)
        return None, (at_memory * forget,)


@dataclass(frozen=True)
class Gru:
    """Gated recurrent unit: gates in the order reset, update, new; the new one's input has a gradient of its own."""

    weights: Weights
    n_gates = 3
    n_kept = 4

    def project(self, data: Tensor) -> Tensor:
        return F.linear(data, self.weights.of_input, self.weights.input_bias)

    def step(self, inputs: Tensor, state: State) -> tuple[State, State]:
        size = state[0].shape[-1]
        hidden = F.linear(state[0], self.weights.of_state, self.weights.state_bias)
        opened = (inputs[:, : 2 * size] + hidden[:, : 2 * size]).sigmoid()
        reset, update = opened.chunk(2, -1)
        new = hidden[:, 2 * size :]
        fresh = torch.addcmul(inputs[:, 2 * size :], reset, new).tanh()
        return (torch.lerp(fresh, state[0], update),), (opened.unflatten(-1, (2, -1)), new, fresh, state[0])

    def back(self, kept: State, received: State, gates: Tensor) -> tuple[Tensor | None, State]:
        opened, new, fresh, before = kept
        reset, update = opened.unbind(1)
        at_reset, at_update, at_new, at_input = gates.unbind(1)
        stay = received[0] * update
        aten.tanh_backward.grad_input(received[0] - stay, fresh, grad_input=at_input)
        torch.mul(at_input, new, out=at_reset)
        torch.mul(received[0], before - fresh, out=at_update)
        torch.mul(at_input, reset, out=at_new)
        aten.sigmoid_backward.grad_input(gates[:, :2], opened, grad_input=gates[:, :2])
        return stay, ()


@dataclass(frozen=True)
class Simple:
    """The simple recurrent layer."""

    weights: Weights
    n_gates = 1
    n_kept = 1

    def project(self, data: Tensor) -> Tensor:
        return F.linear(data, self.weights.of_input, _both_biases(self.weights))

    def step(self, inputs: Tensor, state: State) -> tuple[State, State]:
        output = torch.addmm(inputs, state[0], self.weights.of_state.T).tanh()
        return (output,), (output,)

    def back(self, kept: State, received: State, gates: Tensor) -> tuple[Tensor | None, State]:
        aten.tanh_backward.grad_input(received[0], kept[0], grad_input=gates[:, 0])
        return None, ()


class Rectified(Simple):
    """The simple recurrent layer with rectified units."""

    def step(self, inputs: Tensor, state: State) -> tuple[State, State]:
        output = torch.addmm(inputs, state[0], self.weights.of_state.T).relu()
        return (output,), (output,)

    def back(self, kept: State, received: State, gates: Tensor) -> tuple[Tensor | None, State]:
        aten.threshold_backward.grad_input(received[0], kept[0], 0, grad_input=gates[:, 0])
        return None, ()


def _both_biases(weights: Weights) -> Tensor | None:
    return None if weights.input_bias is None or weights.state_bias is None else weights.input_bias + weights.state_bias


CELLS: dict[str, type[Lstm | Gru | Simple]] = {"lstm": Lstm, "gru": Gru, "rnn_tanh": Simple, "rnn_relu": Rectified}
