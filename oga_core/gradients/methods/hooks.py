"""The fast method: hooks on what each layer gets back, one forward and one backward pass without weight gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from oga_core.gradients.factors.factor import Factor
from oga_core.gradients.factors.reduction import Reduction
from oga_core.gradients.failures import StartAgain, is_for_others
from oga_core.gradients.forward import Forward, Losses
from oga_core.gradients.hooks.gradient_capture import GradientCapture
from oga_core.gradients.hooks.layouts import Layouts
from oga_core.gradients.hooks.tape import Consume, Tape
from oga_core.gradients.methods.oracle import VMAP_BYTES, vmap_gradients
from oga_core.gradients.self_check import TOLERANCE, relative_errors
from oga_core.tasks.batches import first_rows, n_samples
from oga_core.tasks.task import Batch

_LEARNT_FROM = ((5, 7), (11, 13))  # numbers of samples that a model's own sizes are rarely all multiples of
_TRIALS = 3  # layouts of one call that are tried
_SMALL = 2**20  # parameters of a model on which no method takes long
_WORTH_VMAP = 0.02  # share of a larger model's parameters from which vmap is worth its time


class HookMethod:
    """Gradient factors from hooks, and by vmap the gradients of the parameters that the hooks miss.

    checked: whether the method is known to suit the model. Raises `StartAgain` where a later batch shows otherwise.
    """

    name = "hooks"

    def __init__(self, forward: Forward, parameters: Mapping[str, nn.Parameter], given_up: set[str]):
        self.forward = forward
        self.parameters = parameters
        self.given_up = given_up
        self.tolerance = TOLERANCE
        self.layouts = Layouts()
        self.missed: set[str] = set()
        self.by_vmap: dict[str, nn.Parameter] = {}

    @property
    def checked(self) -> bool:
        return self.layouts.watching

    @checked.setter
    def checked(self, checked: bool) -> None:
        self.layouts.watching = checked

    @property
    def left_out(self) -> set[str]:
        """Names of the parameters that it computes no gradient of."""
        return self.missed - self.by_vmap.keys()

    def prepare(self, few: Batch, exact: Reduction, tolerance: float) -> float | None:
        """Learn where the batch is in each input, and what to leave to vmap."""
        self.tolerance = tolerance
        self.layouts = Layouts()
        self.missed.clear()
        self.by_vmap = {}
        error = self._learn_layouts(few, exact)
        self._cover_missed(few, exact)
        return None if self.missed or error > tolerance else error

    def __call__(self, batch: Batch, reduction: Reduction) -> Losses:
        """Reduce the gradients of a batch; where it shows the method to be wrong, they are not used."""
        known = set(self.missed)
        try:
            losses = self._capture(batch, reduction)
        except Exception as error:
            if not self.checked or is_for_others(error):
                raise
            with torch.no_grad():
                self.forward(batch)  # fails itself where the model is what fails
            self.layouts.changed = True
        if self.checked and (self.layouts.changed or self.missed != known):
            self.given_up.add(self.name)
            raise StartAgain
        if self.by_vmap:
            rest = reduction.empty(n_samples(batch))
            parts = vmap_gradients(self.forward.task, self.forward.model, batch, self.by_vmap, reduction.scale)
            rest.reduce_parts(parts)
            reduction.add(rest)
        return losses

    def _learn_layouts(self, few: Batch, exact: Reduction) -> float:
        """Where the batch is in each input shows when its size changes, and in the end by trial; its error."""
        if not any(self._calls_agree(few, sizes) for sizes in _LEARNT_FROM):
            raise RuntimeError("layers are called differently from batch to batch")
        self.layouts.learning = False
        for _ in range(_TRIALS):
            self.layouts.changed = False
            self.missed.clear()  # what it misses with a wrong layout it may meet with the right one
            errors = self._errors(few, exact)
            wrong = {name for name, error in errors.items() if name and error > self.tolerance / len(errors)}
            if errors[""] <= self.tolerance or not self.layouts.rule_out(wrong):
                break
        if self.layouts.changed:
            raise RuntimeError("layers are called differently from batch to batch")
        return errors[""]

    def _calls_agree(self, few: Batch, sizes: tuple[int, ...]) -> bool:
        """Learn from batches of these sizes; False where calls differ, as when one looks like a size of the model."""
        self.layouts.forget()
        n_calls = set()
        for size in sizes:
            self._watched(first_rows(few, size), lambda name, factors: None)
            n_calls.add(self.layouts.n_calls)
        return len(n_calls) == 1

    def _cover_missed(self, few: Batch, exact: Reduction) -> None:
        """Let vmap compute what has no rule, if it agrees and one sample's gradients are of a bearable size."""
        missed = {name: p for name, p in self.parameters.items() if name in self.missed}
        if not missed or not self._is_bearable(_size(missed)):
            return
        self.by_vmap = missed
        try:
            agrees = self._errors(few, exact)[""] <= self.tolerance
        except Exception as error:
            if is_for_others(error):
                raise
            agrees = False
        if not agrees:
            self.by_vmap = {}

    def _is_bearable(self, size: int) -> bool:
        """Whether vmap is worth its time, several times that of hooks, for parameters of this size altogether."""
        whole = _size(self.parameters)
        return 4 * size <= VMAP_BYTES and (whole <= _SMALL or size > _WORTH_VMAP * whole)

    def _errors(self, few: Batch, exact: Reduction) -> dict[str, float]:
        reduction = exact.empty(n_samples(few))
        self(few, reduction)
        return relative_errors(reduction.by_parameter, exact.by_parameter, self.left_out)

    def _capture(self, batch: Batch, reduction: Reduction) -> Losses:
        """Let hooks on the outputs of functions reduce each parameter's gradient as it comes."""

        def consume(name: str, factors: list[Factor]) -> None:
            if name not in self.missed:
                reduction(name, factors)

        losses, tape = self._watched(batch, consume)
        self.missed |= tape.missed
        if losses.values.requires_grad:
            with torch.autocast(
                losses.values.device.type, enabled=False
            ):  # what comes back is as the forward pass left it
                losses.values.backward(torch.full_like(losses.values, reduction.scale))
        tape.finish()
        return Losses(losses.values.detach(), losses.arrays)

    def _watched(self, batch: Batch, consume: Consume) -> tuple[Losses, Tape]:
        """The losses, on the tape."""
        tape = Tape(self.parameters, n_samples(batch), self.layouts, consume)
        tape.watch(batch.values())
        with torch.enable_grad():
            losses = self.forward(batch, watch=GradientCapture(tape))
        tape.end()
        return losses, tape


def _size(parameters: Mapping[str, nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters.values())
