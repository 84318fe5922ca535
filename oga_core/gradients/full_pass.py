"""Gradients of all selected parameters: one forward and one backward pass without weight gradients, checked first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradients.devices import precision_context
from oga_core.gradients.failures import StartAgain, is_for_others, not_finite
from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.hooks.factors import DirectUse, Use, canonical
from oga_core.gradients.hooks.forward_capture import ForwardCapture
from oga_core.gradients.hooks.gradient_capture import Consume, GradientCapture
from oga_core.gradients.hooks.layouts import Layouts
from oga_core.gradients.hooks.sketching import Sketcher
from oga_core.gradients.options import PassOptions
from oga_core.gradients.oracle import VMAP_BYTES, depends, loop_gradients, vmap_gradients
from oga_core.gradients.reduction import Reduction
from oga_core.gradients.self_check import checked_rows, relative_errors, rows_of, tolerance_of
from oga_core.tasks.task import Batch, Task

HOOKS, VMAP = "hooks", "vmap"
GIVEN_UP = {  # by what a later batch shows of them
    HOOKS: "layers meet other samples in one batch than in another",
    VMAP: "it fails on a later batch",
}
_LEARNT_FROM = ((5, 7), (11, 13))  # numbers of samples that a model's own sizes are rarely all multiples of
_TRIALS = 3
_SMALL = 2**20  # parameters of a model on which no way takes long
_WORTH_VMAP = 0.02  # share of a larger model's parameters from which vmap is worth its time
_NAMED = 5
_CHOOSE = "Choose --parameters head, or another pattern."

Way = Callable[[Batch, Reduction], Tensor]


class FullPass:
    """Sketch and norms of the gradient of all `parameters`, and for classifiers what `HeadPass` gives.

    The ways are tried in order of speed on a few samples against the one-by-one loop, which is the last of them:
    hooks on what each layer gets back, with vmap for the parameters that they miss; vmap; loop.
    Raises `StartAgain` where a batch shows that its way is wrong or fails; after another `check` it goes a slower way.
    """

    def __init__(
        self, task: Task, model: nn.Module, options: PassOptions, head: HeadPass, parameters: Mapping[str, nn.Parameter]
    ):
        self.task, self.model, self.options, self.head = task, model, options, head
        self.parameters = dict(parameters)
        self.sketcher = Sketcher(min(options.sketch_dim, _size(parameters)), options.seed, head.device)
        self.tolerance = tolerance_of(options.precision, model.parameters())
        self.layouts = Layouts()
        self.missed: set[str] = set()
        self.by_vmap: dict[str, nn.Parameter] = {}
        self.way: Way = self._hooks
        self.notes, self.given_up = head.notes, head.given_up
        self.coverage, self.check_error = 1.0, math.nan

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the arrays of one batch."""
        reduction = self._reduction(batch)
        with self._frozen():
            self.outputs_arrays: dict[str, Tensor] = {}
            losses = self.way(batch, reduction)
        return {"losses": losses.float(), **self.outputs_arrays, **reduction.arrays()}

    def check(self, batch: Batch) -> None:
        """Compare a few samples with the one-by-one loop and choose the fastest way that agrees."""
        few = checked_rows(batch)
        with self._frozen():
            exact = self._reduction(few, keep=True)
            self._loop(few, exact)
            if not exact.sketch.any() and not depends(self.task, self.model, few, self.parameters):
                raise OgaError(f"The loss does not depend on {_some(self.parameters)}. {_CHOOSE}")
            if not exact.sketch.isfinite().all(1).any():
                raise not_finite()
            self._choose(few, exact)
        left_out = self._left_out()
        self.coverage = 1 - _size({name: self.parameters[name] for name in left_out}) / max(1, _size(self.parameters))
        if left_out == self.parameters.keys():
            raise OgaError(f"There is no way to compute the gradient of {_some(left_out)}. {_CHOOSE}")
        if left_out:
            self.notes.append(
                f"The gradients cover {self.coverage:.1%} of the parameters; left out are {_some(left_out)}."
            )

    def _choose(self, few: Batch, exact: Reduction) -> None:
        for way, name in ((self._hooks, HOOKS), (self._vmap, VMAP), (self._loop, "loop")):
            problem: str | None = GIVEN_UP[name] if name in self.given_up else None
            if problem is None:
                self.check_error, problem = self._error_of(way, few, exact)
            if problem is None:
                self.way = way
                return
            self.missed.clear()
            self.by_vmap = {}
            slower = "one by one" if name == VMAP else "by vmap"
            self.notes.append(
                f"Gradients by {name} did not pass the self-check ({problem}); they are computed {slower}."
            )

    def _error_of(self, way: Way, few: Batch, exact: Reduction) -> tuple[float, str | None]:
        try:
            if way == self._hooks:
                self._learn_layouts(few, exact)
                self._cover_missed(few, exact)
            errors = self._errors(way, few, exact)
        except Exception as error:
            if is_for_others(error):
                raise
            return math.nan, f"{type(error).__name__}: {error}".splitlines()[0][:200]
        worst = errors[""]
        if worst <= self.tolerance or self._left_out() == self.parameters.keys():
            self.layouts.watching = True
            return worst, None
        return worst, f"relative error {worst:.1e}"

    def _learn_layouts(self, few: Batch, exact: Reduction) -> None:
        """Where the batch is in each input shows when its size changes, and in the end by trial."""
        if not any(self._calls_agree(few, sizes) for sizes in _LEARNT_FROM):
            raise RuntimeError("layers are called differently from batch to batch")
        self.layouts.learning = False
        for _ in range(_TRIALS):
            self.layouts.changed = False
            self.missed.clear()  # what it misses with a wrong layout it may meet with the right one
            errors = self._errors(self._capture, few, exact)
            wrong = {name for name, error in errors.items() if name and error > self.tolerance / len(errors)}
            if errors[""] <= self.tolerance or not self.layouts.rule_out(wrong):
                break
        if self.layouts.changed:
            raise RuntimeError("layers are called differently from batch to batch")

    def _calls_agree(self, few: Batch, sizes: tuple[int, ...]) -> bool:
        """Learn from batches of these sizes; False where calls differ, as when one looks like a size of the model."""
        self.layouts.forget()
        n_calls = set()
        for size in sizes:
            part = rows_of(few, size)
            self._watched(part, self._watcher(part, lambda name, uses: None))
            n_calls.add(self.layouts.n_calls)
        return len(n_calls) == 1

    def _cover_missed(self, few: Batch, exact: Reduction) -> None:
        """Let vmap compute what has no rule, if it agrees and one sample's gradients are of a bearable size."""
        missed = {name: p for name, p in self.parameters.items() if name in self.missed}
        if not missed or not self._is_bearable(_size(missed)):
            return
        self.by_vmap = missed
        try:
            agrees = self._errors(self._hooks, few, exact)[""] <= self.tolerance
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

    def _left_out(self) -> set[str]:
        return self.missed - self.by_vmap.keys()

    def _errors(self, way: Way, few: Batch, exact: Reduction) -> dict[str, float]:
        found = self._reduction(few, keep=True)
        way(few, found)
        return relative_errors(found, exact, self._left_out())

    def _reduction(self, batch: Batch, *, keep: bool = False) -> Reduction:
        options = self.options
        return Reduction(len(batch["labels"]), self.sketcher, l1=options.exact_l1, l2=options.exact_l2, keep=keep)

    def _hooks(self, batch: Batch, reduction: Reduction) -> Tensor:
        """Capture, with vmap for what it misses; what it then shows to be wrong is not used."""
        known = set(self.missed)
        try:
            losses = self._capture(batch, reduction)
        except Exception as error:
            if not self.layouts.watching or is_for_others(error):
                raise
            self._forward(batch)  # fails itself where the model is what fails
            self.layouts.changed = True
        if self.layouts.watching and (self.layouts.changed or self.missed != known):
            self.given_up.add(HOOKS)
            raise StartAgain
        if self.by_vmap:
            rest = self._reduction(batch, keep=reduction.keep)
            with precision_context(self.head.device, self.options.precision):
                self._reduce(vmap_gradients(self.task, self.model, batch, self.by_vmap), rest)
            reduction.add(rest)
        return losses

    def _capture(self, batch: Batch, reduction: Reduction) -> Tensor:
        """Let hooks on the outputs of functions reduce each parameter's gradient as it comes."""

        def consume(name: str, uses: list[Use]) -> None:
            if name not in self.missed:
                reduction(name, uses)

        capture = self._watcher(batch, consume)
        losses = self._watched(batch, capture)
        self.missed |= capture.missed
        if losses.requires_grad:
            losses.sum().backward()
        capture.finish()
        return losses.detach()

    def _watcher(self, batch: Batch, consume: Consume) -> GradientCapture:
        return GradientCapture(self.parameters, len(batch["labels"]), self.layouts, consume)

    def _watched(self, batch: Batch, capture: GradientCapture) -> Tensor:
        """The losses, on the tape; the backward pass holds what it needs of the forward pass, and nothing else does."""
        capture.watch(batch.values())
        with torch.enable_grad(), precision_context(self.head.device, self.options.precision):
            with capture, ForwardCapture(self.head.middle, batch.get("attention_mask")) as forward:
                outputs = self.task.outputs(self.model, batch)
            capture.end()
            losses = self.task.losses(outputs, batch)
        self.outputs_arrays = self.head.arrays_of(outputs, forward, batch)
        return losses

    def _loop(self, batch: Batch, reduction: Reduction) -> Tensor:
        with precision_context(self.head.device, self.options.precision):
            self._reduce(map(_as_batch, loop_gradients(self.task, self.model, batch, self.parameters)), reduction)
            return self._forward(batch)

    def _vmap(self, batch: Batch, reduction: Reduction) -> Tensor:
        with precision_context(self.head.device, self.options.precision):
            losses = self._forward(batch)  # fails itself where the model is what fails
            try:
                self._reduce(vmap_gradients(self.task, self.model, batch, self.parameters), reduction)
            except Exception as error:
                if not self.layouts.watching or is_for_others(error):
                    raise
                self.given_up.add(VMAP)
                raise StartAgain from error
            return losses

    def _reduce(self, parts: Iterator[dict[str, Tensor]], whole: Reduction) -> None:
        """Reduce the gradients of a few samples after the other, `(samples, *parameter shape)` by name."""
        whole.join(list(map(partial(self._reduced, whole), parts)))

    def _reduced(self, whole: Reduction, gradients: dict[str, Tensor]) -> Reduction:
        """Reduce gradients, each let go of once it is reduced: whole gradients take more memory than a batch does."""
        n = len(next(iter(gradients.values())))
        part = Reduction(n, self.sketcher, l1=whole.l1, l2=whole.l2, keep=whole.keep)
        while gradients:
            name, gradient = gradients.popitem()
            part(name, [DirectUse(gradient.float(), canonical(gradient.shape[1:]))])
        return part

    @torch.no_grad()
    def _forward(self, batch: Batch) -> Tensor:
        with ForwardCapture(self.head.middle, batch.get("attention_mask")) as forward:
            outputs = self.task.outputs(self.model, batch)
        self.outputs_arrays = self.head.arrays_of(outputs, forward, batch)
        return self.task.losses(outputs, batch)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """No parameter asks for a gradient of its own."""
        required = [p for p in self.model.parameters() if p.requires_grad]
        for p in required:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in required:
                p.requires_grad_()


def _as_batch(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: gradient[None] for name, gradient in gradients.items()}


def _size(parameters: Mapping[str, Tensor]) -> int:
    return sum(p.numel() for p in parameters.values())


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
