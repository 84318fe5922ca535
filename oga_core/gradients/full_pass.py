"""Gradients of all selected parameters, by the fastest method that agrees with gradients computed one by one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradients.factors.reduction import Reduction
from oga_core.gradients.factors.sketching import Sketcher
from oga_core.gradients.failures import is_for_others, not_finite, random_gradients
from oga_core.gradients.forward import Forward, Losses
from oga_core.gradients.methods.oracle import depends
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import size_of, some_of
from oga_core.gradients.precision import Precision, changes_ranking, is_short
from oga_core.gradients.self_check import (
    DOUBLE_TOLERANCE,
    SHORT_TOLERANCE,
    TOLERANCE,
    State,
    changing,
    checked_rows,
    relative_errors,
)
from oga_core.tasks.batches import rows_of
from oga_core.tasks.task import Batch

GIVEN_UP = {  # by what a later batch shows of them
    "hooks": "layers meet other samples in one batch than in another",
    "vmap": "it fails on a later batch",
}
_CHOOSE = "Choose --parameters head, or another pattern."


class Method(Protocol):
    """Computes gradients of a batch and hands them to a reduction.

    left_out: names of the parameters that it computes no gradient of. checked: whether it passed the self-check.
    prepare: learns from a few samples whose gradients are `exact`; its relative error on them where it tells.
    """

    name: str
    checked: bool

    @property
    def left_out(self) -> Collection[str]: ...

    def prepare(self, few: Batch, exact: Reduction, tolerance: float) -> float | None: ...

    def __call__(self, batch: Batch, reduction: Reduction) -> Losses: ...


class FullPass:
    """Sketch and norms of the gradient of all `parameters`, and what `forward` reads of the outputs.

    methods: in order of speed; the last is the one-by-one loop, against which all are checked on a few samples.
    Raises `StartAgain` where a batch shows that its method is wrong or fails; after another `check` a slower one is
    used. check_error: of the method, in the highest precision. precision_error: of the chosen precision against it.
    """

    def __init__(
        self,
        forward: Forward,
        methods: Sequence[Method],
        parameters: Mapping[str, nn.Parameter],
        options: PassOptions,
        device: torch.device,
        notes: list[str],
        given_up: set[str],
    ):
        self.forward = forward
        self.methods = methods
        self.parameters = dict(parameters)
        self._all_parameters = list(forward.model.parameters())  # looked for once, not in every batch
        self.options = options
        self.device = device
        self.notes = notes
        self.given_up = given_up
        self.sketcher = Sketcher(min(options.sketch_dim, size_of(parameters)), options.seed, device)
        sizes = {name: p.numel() for name, p in self.parameters.items()}
        self.whole = sizes if sum(sizes.values()) <= options.whole_parameters else {}
        self.method = methods[0]
        self.precision = Precision(device, options.precision)
        self.attempts = [(self.precision, 1.0)]
        self.coverage = 1.0
        self.check_error = math.nan
        self.precision_error = 0.0

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the arrays of one batch; samples whose gradient float16 cannot hold are taken again."""
        first, *others = self.attempts
        with self._frozen():
            arrays = self._arrays(batch, *first)
            for attempt in others:
                finite = arrays["sketch"].isfinite().all(1) & arrays["losses"].isfinite()
                rows = (~finite).nonzero()[:, 0]
                again = self._arrays(rows_of(batch, rows), *attempt) if len(rows) else {}
                for name, values in again.items():
                    arrays[name][rows] = values
        return arrays

    def _arrays(self, batch: Batch, precision: Precision, scale: float) -> dict[str, Tensor]:
        reduction = self._reduction(len(batch["labels"]), scale=scale)
        losses = self._reduced(self.method, batch, reduction, precision)
        return {"losses": losses.values.float(), **losses.arrays, **reduction.arrays()}

    def check(self, batch: Batch) -> None:
        """Choose the fastest method that agrees with the loop on a few samples, and measure the precision."""
        few = checked_rows(batch)
        state = State(self.forward.model)
        with self._frozen():
            precision, tolerance, loop = self._reference(few)
            if changed := state.changed():
                again = self._result(self.methods[-1], few, precision).by_parameter
                if not relative_errors(again, loop.by_parameter, ())[""] <= tolerance:
                    raise changing(changed)
            if not loop.sketch.any() and not depends(self.forward.task, self.forward.model, few, self.parameters):
                raise OgaError(f"The loss does not depend on {some_of(self.parameters)}. {_CHOOSE}")
            if not loop.sketch.isfinite().all(1).any():
                raise not_finite()
            exact = self._choose(few, precision, tolerance, loop)
            self._note_left_out()
            if exact is loop and precision == self.precision:  # then the two are one measurement
                self.precision_error = self.check_error
            else:
                self._measure_precision(few, exact)
        self.attempts = self.precision.attempts(self.forward.model)

    def _reference(self, few: Batch) -> tuple[Precision, float, Reduction]:
        """The loop's result in the highest precision that there is room for, and the tolerance there."""
        loop = self.methods[-1]
        if is_short(self.forward.model):
            precision = Precision(self.device, "float32", torch.float32)
            try:
                return precision, TOLERANCE, self._result(loop, few, precision)
            except Exception as error:  # there is no room, or the model insists on its own dtype
                if isinstance(error, OgaError):
                    raise
        precision = Precision(self.device, "float32")
        tolerance = SHORT_TOLERANCE if is_short(self.forward.model) else TOLERANCE
        return precision, tolerance, self._result(loop, few, precision)

    def _choose(self, few: Batch, precision: Precision, tolerance: float, exact: Reduction) -> Reduction:
        """Choose the first method that passes; return the loop's result that it was compared with."""
        for method in self.methods:
            problem: str | None = GIVEN_UP[method.name] if method.name in self.given_up else None
            reference = exact
            self.check_error = math.nan
            if problem is None:
                self.check_error, problem = self._error_of(method, few, precision, tolerance, exact)
            if problem is not None and not math.isnan(self.check_error):
                arbiter = self._arbiter(method, few, precision, tolerance)
                if arbiter is not None:
                    self.check_error, reference = arbiter
                    problem = None
            if problem is None:
                self.method = method
                method.checked = True
                return reference
            slower = "one by one" if method.name == "vmap" else "by vmap"
            self.notes.append(
                f"Gradients by {method.name} did not pass the self-check ({problem}); they are computed {slower}."
            )
        raise random_gradients()

    def _error_of(
        self, method: Method, few: Batch, precision: Precision, tolerance: float, exact: Reduction
    ) -> tuple[float, str | None]:
        """The method's largest relative error, and what is wrong with it, None where it passes."""
        try:
            with precision(self.forward.model):
                worst = method.prepare(precision.inputs(few), exact, tolerance)
            if worst is None:
                result = self._result(method, few, precision)
                worst = relative_errors(result.by_parameter, exact.by_parameter, method.left_out)[""]
        except Exception as error:
            if is_for_others(error):
                raise
            return math.nan, f"{type(error).__name__}: {error}".splitlines()[0][:200]
        if worst <= tolerance or set(method.left_out) == self.parameters.keys():
            return worst, None
        return worst, f"relative error {worst:.1e}"

    def _arbiter(
        self, method: Method, few: Batch, precision: Precision, tolerance: float
    ) -> tuple[float, Reduction] | None:
        """The method's error by float64, by vmap where float64 cannot be had, and the result that it is told by."""
        double = Precision(self.device, "float32", torch.float64)
        if not is_short(self.forward.model) and double.fits(self.forward.model):
            try:
                exact = self._result(self.methods[-1], few, double)
            except Exception as failure:
                if is_for_others(failure):
                    raise
                return self._by_vmap(method, few, precision, tolerance)  # the model insists on float32
            return self._in_double(method, few, double, exact)
        return self._by_vmap(method, few, precision, tolerance)

    def _in_double(
        self, method: Method, few: Batch, double: Precision, exact: Reduction
    ) -> tuple[float, Reduction] | None:
        """The method's error in float64 and the loop's result there, None where it does not pass.

        A sample at the kink of an activation has two right gradients in float32, as rounding falls; in float64 there
        is one. So a method that agrees there is right.
        """
        error, problem = self._error_of(method, few, double, DOUBLE_TOLERANCE, exact)
        return None if problem else (error, exact)

    def _by_vmap(
        self, method: Method, few: Batch, precision: Precision, tolerance: float
    ) -> tuple[float, Reduction] | None:
        """The error of hooks against vmap and vmap's result, None where they differ."""
        other = self.methods[1]
        if method.name != "hooks" or other.name in self.given_up:
            return None
        try:
            reference = self._result(other, few, precision)
        except Exception as failure:
            if is_for_others(failure):
                raise
            return None
        result = self._result(method, few, precision)
        error = relative_errors(result.by_parameter, reference.by_parameter, method.left_out)[""]
        return (error, reference) if error <= tolerance else None

    def _measure_precision(self, few: Batch, exact: Reduction) -> None:
        """What the chosen precision costs; float32 instead where it would change the ranking of samples."""
        finite = exact.sketch.isfinite().all(1)
        for precision, scale in self.precision.attempts(self.forward.model):
            result = self._result(self.method, few, precision, scale)
            if result.sketch[finite].isfinite().all():
                break
        if precision != self.precision:
            self.notes.append("Gradients are too large or too small for float16; they are computed in float32.")
            self.precision = precision
        errors = relative_errors(result.by_parameter, exact.by_parameter, self.method.left_out)
        self.precision_error = errors[""]
        if self.precision.name == "float32" or not changes_ranking(exact.sketch[finite], result.sketch[finite]):
            return
        self.notes.append(
            f"In {self.precision.name} gradients differ by {errors['']:.1%}, which would change the ranking of the "
            "samples that were tried first; they are computed in float32."
        )
        self.precision = Precision(self.device, "float32")
        self._measure_precision(few, exact)

    def _result(self, method: Method, few: Batch, precision: Precision, scale: float = 1.0) -> Reduction:
        """The method's gradients of the few samples, parameter by parameter."""
        dtype = torch.float64 if precision.weights == torch.float64 else torch.float32
        reduction = self._reduction(len(few["labels"]), keep=True, dtype=dtype, scale=scale)
        self._reduced(method, few, reduction, precision)
        return reduction

    def _reduced(self, method: Method, batch: Batch, reduction: Reduction, precision: Precision) -> Losses:
        with precision(self.forward.model):
            losses = method(precision.inputs(batch), reduction)
        reduction.unscale()
        return losses

    def _reduction(
        self, n: int, *, keep: bool = False, dtype: torch.dtype = torch.float32, scale: float = 1.0
    ) -> Reduction:
        options = self.options
        norms = {"l1": options.exact_l1, "l2": options.exact_l2}
        return Reduction(n, self.sketcher, **norms, keep=keep, dtype=dtype, whole=self.whole, scale=scale)

    def _note_left_out(self) -> None:
        left_out = set(self.method.left_out)
        self.coverage = 1 - size_of({name: self.parameters[name] for name in left_out}) / max(
            1, size_of(self.parameters)
        )
        if left_out == self.parameters.keys():
            raise OgaError(f"There is no way to compute the gradient of {some_of(left_out)}. {_CHOOSE}")
        if left_out:
            self.notes.append(
                f"The gradients cover {self.coverage:.1%} of the parameters; left out are {some_of(left_out)}."
            )

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """No parameter asks for a gradient of its own."""
        required = [p for p in self._all_parameters if p.requires_grad]
        for p in required:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in required:
                p.requires_grad_()
