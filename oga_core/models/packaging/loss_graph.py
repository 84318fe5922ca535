"""A loss of one's own as a second graph in a `.pt2` file, checked against the function that it was made from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.packaging.graphs import Program, decomposed, strip
from oga_core.models.packaging.loss_record import LossRecord, loss_record
from oga_core.models.packaging.modes import quiet
from oga_core.models.packaging.outputs import first_lines
from oga_core.models.packaging.own_loss import LossFunction, OwnLoss, of_one_sample
from oga_core.models.pt2.reader import read_pt2
from oga_core.samples import OWN, Target

_TOLERANCE = 1e-4  # relative; the same operations on the same numbers
_CHECKED = 4  # samples


def target_example(given: Any, classes: int) -> Tensor:
    """Return a batch of targets: what was given, else class indices where classes are named, else numbers."""
    if given is None and classes:
        return torch.arange(_CHECKED) % classes
    if given is None:
        return torch.linspace(0.5, 1.5, _CHECKED)  # above 0, as counts and prices are
    target = torch.as_tensor(given).detach().cpu()
    if target.ndim not in (1, 2) or not len(target):
        raise OgaError(f"target has the shape {tuple(target.shape)}. Give (batch,), or (batch, size) for vectors.")
    is_class = target.ndim == 1 and not target.is_floating_point()
    return (target.long() if is_class else target.float())[torch.arange(_CHECKED) % len(target)]


def own_entry(loss: Any, target: Tensor, classes: int) -> Mapping[str, Any]:
    """Return the loss of one's own as the model card names it."""
    name = getattr(loss, "__name__", type(loss).__name__).strip("<>")  # of a lambda
    entry = {"name": OWN, "target": _kind(target, classes), "function": name}
    return {**entry, "size": target.shape[1]} if entry["target"] == "vector" else entry


def _kind(target: Tensor, classes: int) -> Target:
    if target.ndim == 1:
        return "number" if target.is_floating_point() else "class"
    return "labels" if target.shape[1] == classes else "vector"


def export_loss(loss: LossFunction, outputs: Tensor, target: Tensor, path: Path) -> tuple[Program, LossRecord | None]:
    """Return the graph of the loss of one sample, and what it gives; raises `OgaError` where it cannot be exported.

    outputs, target: of a few samples, by which the graph is checked as our own reader reads it. path: of a file to try
    it in.
    """
    outputs = outputs.detach().float().cpu()[torch.arange(_CHECKED) % len(outputs)]
    failure: OgaError | None = None
    for strict in (False, True):
        try:
            program = _written(_ForOne(loss), outputs, target, strict, path)
            _compare(loss, OwnLoss(read_pt2(path)[0]), outputs, target)
            return program, loss_record(OwnLoss(loss), outputs, target)
        except OgaError as error:
            failure = failure or error
    assert failure is not None
    raise failure


class _ForOne(nn.Module):
    """The loss of a batch of one as `(1,)`; its weights, where it has any, are not trained."""

    def __init__(self, loss: LossFunction):
        super().__init__()
        self.loss = copy.deepcopy(loss).eval().requires_grad_(False) if isinstance(loss, nn.Module) else loss

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return of_one_sample(self.loss, outputs, target)[None]


def _written(module: nn.Module, outputs: Tensor, target: Tensor, strict: bool, path: Path) -> Program:
    try:
        with quiet(), _distributions_unchecked():
            program = decomposed(torch.export.export(module, (outputs[:1], target[:1]), strict=strict))
    except OgaError:
        raise
    except Exception as error:  # torch.export raises errors of many kinds, all about the function
        raise OgaError(
            f"The loss cannot be exported: {first_lines(str(error)) or type(error).__name__} Write it with operations "
            "on tensors that do not ask for their values (no if on a tensor, no .item())."
        ) from error
    strip(program)
    with quiet():
        torch.export.save(program, path)
    return program


@contextmanager
def _distributions_unchecked() -> Iterator[None]:
    """The distributions of torch without their checks of values, which no graph can hold."""
    checked = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(checked)


def _compare(loss: LossFunction, graph: OwnLoss, outputs: Tensor, target: Tensor) -> None:
    """Compare values and gradients at the outputs of a few samples. Raises `OgaError` where they differ."""
    expected = _values_and_gradients(OwnLoss(loss), outputs, target)
    for what, one, other in zip(
        ("values", "gradients"), expected, _values_and_gradients(graph, outputs, target), strict=True
    ):
        gap = float((one - other).nan_to_num().norm()) / max(float(one.nan_to_num().norm()), 1e-30)
        if gap > _TOLERANCE or not torch.equal(one.isnan(), other.isnan()):
            raise OgaError(
                f"The exported loss differs from the function in its {what} by {gap:.0%}: a step defines its own "
                "backward, or depends on something that is not in its arguments. Write it with ordinary operations."
            )


def _values_and_gradients(loss: OwnLoss, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = outputs.detach().float().requires_grad_()
    with torch.enable_grad():
        values = loss(leaf, target)
        if not values.requires_grad:
            raise OgaError("The loss does not depend on the model's outputs. Compute it from its first argument.")
        return values.detach(), torch.autograd.grad(values.sum(), leaf)[0]
