"""The steps of one recurrent layer in one direction: through time, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oga_core.gradients.hooks.recurrent.cells import CELLS, State, Weights


class Walk:
    """The steps of a layer in the order in which it takes them, and back. alive: `(time, batch, 1)`, None for all."""

    def __init__(self, kind: str, weights: Weights, alive: Tensor | None):
        self.cell = CELLS[kind](weights)
        self.alive = None if alive is None else alive.unbind(0)
        self.before: list[Tensor] = []
        self.unprojected: list[Tensor] = []
        self._kept: list[State] = []

    @property
    def weights(self) -> Weights:
        return self.cell.weights

    def forwards(self, data: Tensor, state: State) -> State:
        """Return the outputs and the last state."""
        inputs = self.cell.project(data)
        self.cell = replace(self.cell, weights=self.weights.values(inputs.dtype))  # which autocast may have shortened
        state = tuple(values.to(inputs.dtype) for values in state)
        outputs = []
        for t, at_gates in enumerate(inputs.unbind(0)):
            last = state
            state, kept = self.cell.step(at_gates, last)
            if self.weights.projection is not None:
                self.unprojected.append(state[0])
                state = (state[0] @ self.weights.projection.T, *state[1:])
            if self.alive is not None:
                state = _chosen(self.alive[t], state, last)
            self.before.append(last[0])
            self._kept.append(kept)
            outputs.append(state[0])
        return torch.stack(outputs), *(values.clone() for values in state)

    def back(self, received: State) -> tuple[Tensor, Tensor, State]:
        """Return what the gates get, `(time, batch, gates, size)`, what the outputs get in all, and the first state."""
        of_outputs = received[0].unbind(0)
        state = received[1:]
        weights = self.weights
        size = len(weights.of_state) // self.cell.n_gates
        gates = received[0].new_empty(*received[0].shape[:2], self.cell.n_kept, size)
        at_outputs: list[Tensor] = []
        for t in reversed(range(len(gates))):
            at_output, *at_memory = state = (state[0] + of_outputs[t], *state[1:])
            if self.alive is not None:
                at_output, *at_memory = _chosen(self.alive[t], state, [torch.zeros_like(values) for values in state])
            at_outputs.append(at_output)
            unprojected = at_output if weights.projection is None else at_output @ weights.projection
            stay, past_memory = self.cell.back(self._kept[t], (unprojected, *at_memory), gates[t])
            at_gates = gates[t, :, : self.cell.n_gates].flatten(1)
            past = at_gates @ weights.of_state if stay is None else torch.addmm(stay, at_gates, weights.of_state)
            before = (past, *past_memory)
            state = before if self.alive is None else _chosen(self.alive[t], before, state)
        return gates, torch.stack(at_outputs[::-1]), state

    def at_input(self, gates: Tensor) -> Tensor:
        """Of what `back` gives for the gates, the part at the input's product."""
        if self.cell.n_kept == self.cell.n_gates:
            return gates
        return torch.cat([gates[:, :, : self.cell.n_gates - 1], gates[:, :, self.cell.n_gates :]], 2)


def _chosen(alive: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]) -> State:
    return tuple(torch.where(alive, *both) for both in zip(new, old, strict=True))
