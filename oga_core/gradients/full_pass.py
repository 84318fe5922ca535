"""Gradients of all selected parameters: one forward and one backward pass without weight gradients, checked first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from oga_core.devices import precision_context
from oga_core.gradients.forward_capture import ForwardCapture
from oga_core.gradients.gradient_capture import GradientCapture, Layouts
from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.options import PassOptions
from oga_core.gradients.oracle import loop_gradients, vmap_gradients
from oga_core.gradients.reduction import Reduction
from oga_core.gradients.sketching import Sketcher
from oga_core.gradients.uses import DirectUse, Use, canonical
from oga_core.tasks.task import Batch, Task

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}  # relative error of the check above which a slower way is taken
_CHECKED_SAMPLES = 4
_TRIALS = 3

Way = Callable[[Batch, Reduction], Tensor]


class FullPass:
    """Sketch and norms of the gradient of all `parameters`, and for classifiers what `HeadPass` gives.

    The ways are tried in order of speed on a few samples against the one-by-one loop, which is the last of them:
    capture (hooks on what each layer gets back), vmap (of the gradient function), loop.
    """

    def __init__(
        self, task: Task, model: nn.Module, options: PassOptions, head: HeadPass, parameters: Mapping[str, nn.Parameter]
    ):
        self.task, self.model, self.options, self.head = task, model, options, head
        self.parameters = dict(parameters)
        size = sum(p.numel() for p in parameters.values())
        self.sketcher = Sketcher(min(options.sketch_dim, size), options.seed, head.device)
        self.tolerance = TOLERANCE[options.precision]
        self.layouts = Layouts()
        self.missed: set[str] = set()
        self.way: Way = self._capture
        self.notes = head.notes
        self.coverage, self.check_error = 1.0, 0.0

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the arrays of one batch."""
        reduction = self._reduction(batch)
        with self._frozen():
            self.outputs_arrays: dict[str, Tensor] = {}
            losses = self.way(batch, reduction)
        return {"losses": losses.float(), **self.outputs_arrays, **reduction.arrays()}

    def check(self, batch: Batch) -> None:
        """Compare a few samples with the one-by-one loop and choose the fastest way that agrees."""
        n = min(_CHECKED_SAMPLES, len(batch["labels"]))
        few = rows_of(batch, n)
        with self._frozen():
            exact = self._reduction(few, keep=True)
            self._loop(few, exact)
            for way, name in ((self._capture, "hooks"), (self._vmap, "vmap"), (self._loop, "loop")):
                self.check_error, problem = self._error_of(way, few, exact)
                if problem is None:
                    break
                slower = "one by one" if name == "vmap" else "by vmap"
                self.notes.append(
                    f"Gradients by {name} did not pass the self-check ({problem}); they are computed {slower}."
                )
            self.way = way
        if way != self._capture:
            self.missed.clear()
        missed = sum(self.parameters[name].numel() for name in self.missed)
        self.coverage = 1 - missed / max(1, sum(p.numel() for p in self.parameters.values()))
        if missed:
            some = ", ".join(sorted(self.missed)[:5])
            self.notes.append(f"The gradients cover {self.coverage:.1%} of the parameters; left out are {some}.")

    def _error_of(self, way: Way, few: Batch, exact: Reduction) -> tuple[float, str | None]:
        try:
            if way == self._capture:
                self._learn_layouts(few, exact)
            errors = self._errors(way, few, exact)
        except Exception as error:
            return 0.0, f"{type(error).__name__}: {error}".splitlines()[0][:200]
        worst = errors[""]
        return worst, None if worst <= self.tolerance else f"relative error {worst:.1e}"

    def _learn_layouts(self, few: Batch, exact: Reduction) -> None:
        """Where the batch is in each input shows when its size changes, and in the end by trial."""
        n = len(few["labels"])
        for size in {n, max(1, n - 1)}:
            part = rows_of(few, size)
            self._capture(part, self._reduction(part))
        self.layouts.learning = False
        for _ in range(_TRIALS):
            errors = self._errors(self._capture, few, exact)
            wrong = {name for name, error in errors.items() if name and error > self.tolerance / len(errors)}
            if errors[""] <= self.tolerance or not self.layouts.rule_out(wrong):
                return

    def _errors(self, way: Way, few: Batch, exact: Reduction) -> dict[str, float]:
        found = self._reduction(few, keep=True)
        way(few, found)
        return relative_errors(found, exact, self.missed)

    def _reduction(self, batch: Batch, *, keep: bool = False) -> Reduction:
        options = self.options
        return Reduction(len(batch["labels"]), self.sketcher, l1=options.exact_l1, l2=options.exact_l2, keep=keep)

    def _capture(self, batch: Batch, reduction: Reduction) -> Tensor:
        """Let hooks on the outputs of functions reduce each parameter's gradient as it comes."""

        def consume(name: str, uses: list[Use]) -> None:
            if name not in self.missed:
                reduction(name, uses)

        capture = GradientCapture(self.parameters, len(batch["labels"]), self.layouts, consume)
        capture.watch(batch.values())
        with torch.enable_grad(), precision_context(self.head.device, self.options.precision):
            with capture, ForwardCapture(self.head.middle, batch.get("attention_mask")) as forward:
                outputs = self.task.outputs(self.model, batch)
            losses = self.task.losses(outputs, batch)
        self.missed |= capture.missed
        self.outputs_arrays = self.head.arrays_of(outputs, forward, batch)
        total = losses.sum()
        if total.requires_grad:
            total.backward()
        capture.finish()
        return losses.detach()

    def _loop(self, batch: Batch, reduction: Reduction) -> Tensor:
        with precision_context(self.head.device, self.options.precision):
            parts = loop_gradients(self.task, self.model, batch, self.parameters)
            self._reduce(({name: g[None] for name, g in gradients.items()} for gradients in parts), reduction)
            return self._forward(batch)

    def _vmap(self, batch: Batch, reduction: Reduction) -> Tensor:
        with precision_context(self.head.device, self.options.precision):
            self._reduce(vmap_gradients(self.task, self.model, batch, self.parameters), reduction)
            return self._forward(batch)

    def _reduce(self, parts: Iterator[dict[str, Tensor]], whole: Reduction) -> None:
        """Reduce the gradients of a few samples after the other, `(samples, *parameter shape)` by name."""
        reduced = []
        for gradients in parts:
            n = len(next(iter(gradients.values())))
            part = Reduction(n, self.sketcher, l1=whole.l1, l2=whole.l2, keep=whole.keep)
            for name, gradient in gradients.items():
                part(name, [DirectUse(gradient.float(), canonical(gradient.shape[1:]))])
            reduced.append(part)
        whole.join(reduced)

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


def rows_of(batch: Batch, n: int) -> Batch:
    """The first `n` samples of a batch."""
    whole = len(batch["labels"])
    return {
        name: value[:n] if isinstance(value, Tensor) and value.ndim and len(value) == whole else value
        for name, value in batch.items()
    }


def relative_errors(found: Reduction, exact: Reduction, missed: set[str]) -> dict[str, float]:
    """Largest error over the samples of each parameter's gradient, relative to the whole gradient; "" for the whole.

    The whole's error is that of its sketches, parameter by parameter, or of its norm, whichever is larger.
    """
    names = sorted(exact.by_parameter.keys() - missed)
    if not names:
        return {"": 0.0}
    pairs = [
        (found.by_parameter.get(name) or _zero(exact.by_parameter[name]), exact.by_parameter[name]) for name in names
    ]
    squares = torch.stack([(one[0] - other[0]).square().sum(1) for one, other in pairs])  # (parameter, sample)
    size = torch.stack([other[0].square().sum(1) for _, other in pairs]).sum(0).clamp(min=1e-30)
    one_norm, other_norm = (torch.stack([pair[side][1] for pair in pairs]).sum(0).sqrt() for side in (0, 1))
    of_norm = float(((one_norm - other_norm).abs() / other_norm.clamp(min=1e-15)).max())
    by_parameter = (squares / size).sqrt().amax(1).tolist()
    return {
        "": max(of_norm, float((squares.sum(0) / size).sqrt().max())),
        **dict(zip(names, by_parameter, strict=True)),
    }


def _zero(like: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(like[0]), torch.zeros_like(like[1])
