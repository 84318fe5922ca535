"""What a loss of one's own gives for a few made outputs and targets; kept in the file, so that a reader can compare."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.models.packaging.own_loss import OwnLoss
from oga_core.models.packaging.probes import Probe
from oga_core.models.pt2.archive import Archive

ENTRY = "loss_gradients.json"
_TOLERANCE = 1e-3  # relative; the same operations on the same numbers, in another version of torch
_SAMPLES = 4


@dataclass(frozen=True)
class LossRecord:
    """Of made samples the loss, and the norm of its gradient at the outputs; what is not finite counts as 0."""

    outputs: Probe
    target: Probe
    values: list[float]
    norms: list[float]

    def to_json(self) -> str:
        """Write the record as `check_loss` reads it."""
        return json.dumps(asdict(self))


def loss_record(loss: OwnLoss, outputs: Tensor, target: Tensor) -> LossRecord | None:
    """Return the record for outputs and targets like these; None where the loss does not take made ones."""
    probes = (Probe.of(outputs, _SAMPLES), Probe.of(target, _SAMPLES))
    try:
        return LossRecord(*probes, *_measured(loss, *probes))
    except (RuntimeError, IndexError, ValueError):  # as of a number that is used as an index
        return None


def check_loss(path: Path, loss: OwnLoss) -> None:
    """Raise `OgaError` where the loss in a file does not give what it gave when it was packaged."""
    with Archive(path) as archive:
        if f"extra/{ENTRY}" not in archive:
            return
        content = archive.read_json(f"extra/{ENTRY}")
    record = _record(content, path.name)
    try:
        values, norms = _measured(loss, record.outputs, record.target)
    except (RuntimeError, IndexError, ValueError):
        values, norms = [], []
    for what, now, then in (("values", values, record.values), ("gradients", norms, record.norms)):
        size = max(map(abs, then), default=0.0)
        if len(now) != len(then) or any(abs(a - b) > _TOLERANCE * size for a, b in zip(now, then, strict=True)):
            raise OgaError(
                f"The {what} of the loss in {path.name} are not what they were when it was packaged. Package the model "
                f"again with the torch that scores it ({torch.__version__})."
            )


def _measured(loss: OwnLoss, outputs: Probe, target: Probe) -> tuple[list[float], list[float]]:
    device = torch.device("cpu")
    leaf = outputs.tensor(device).float().requires_grad_()
    targets = target.tensor(device)
    targets = targets.abs() if targets.is_floating_point() else targets  # counts and prices are above 0
    with torch.enable_grad():
        values = loss(leaf, targets)
        [gradient] = torch.autograd.grad(values.sum(), leaf)
    norms = gradient.flatten(1).norm(dim=1)
    return tuple(part.detach().nan_to_num(0.0, 0.0, 0.0).tolist() for part in (values, norms))  # type: ignore[return-value]


def _record(content: Any, origin: str) -> LossRecord:
    """Return the record in a file; raises `OgaError` for one that `package_model` cannot have written."""
    try:
        outputs = Probe.from_json(content["outputs"])
        target = Probe.from_json(content["target"])
        values, norms = ([float(value) for value in content[name]] for name in ("values", "norms"))
        if outputs.shape[0] != target.shape[0] or not outputs.dtype.startswith("float"):
            raise ValueError(outputs)
        return LossRecord(outputs, target, values, norms)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise OgaError(f"{ENTRY} in {origin} is damaged. Package the model again.") from None
