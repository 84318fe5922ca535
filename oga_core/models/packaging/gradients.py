"""Gradients of a packaged model against those of the model in memory; their norms stay in the file.

The outputs alone do not tell: a graph has the outputs of an `autograd.Function` and not its own backward, and what a
model computed once and kept is a constant in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.packaging.example_inputs import ExampleInputs
from oga_core.models.packaging.logits import Chosen, logits_of
from oga_core.models.packaging.outputs import first_lines
from oga_core.models.packaging.probes import MAX_ELEMENTS, Probe, probe_like
from oga_core.models.pt2.archive import Archive
from oga_core.models.pt2.module import GraphModule
from oga_core.models.refusals import without_gradient

ENTRY = "gradients.json"
TOLERANCE = 1e-3  # relative; rounding in another order of the same sums stays below 1e-5
HALF_TOLERANCE = 5e-2
_SAMPLES = 2  # a batch of one would be taken for a constant
_NAMED = 4
_LARGEST_NORM = 1e100  # of float64, so that the sum of squares is finite

Gradients = dict[str, Tensor | None]


@dataclass(frozen=True)
class GradientRecord:
    """The norm of every parameter's gradient on the probes, and the parameters that the loss does not reach."""

    probes: tuple[Probe, ...]
    norms: dict[str, float]
    not_reached: tuple[str, ...]
    tolerance: float

    def to_json(self) -> str:
        """Write the record as `check_record` reads it."""
        return json.dumps(asdict(self))


def gradients_in_memory(
    model: nn.Module, inputs: ExampleInputs, output: Chosen = None
) -> tuple[Gradients, GradientRecord]:
    """Return the gradients of a model that was not run before, by parameter, and what is kept of them."""
    probes = inputs.map(lambda value: _probe(inputs, value).tensor(value.device))
    args, kwargs = probes.call
    try:
        with torch.enable_grad():
            gradients = _gradients(dict(model.named_parameters()), logits_of(model(*args, **kwargs), output))
    except Exception as error:  # whatever the user's own code raises
        why = first_lines(str(error)) or type(error).__name__
        advice = without_gradient(str(error), "Its outputs must depend on its weights.")
        raise OgaError(f"The model has no gradient in memory: {why} {advice}") from error
    half = any(parameter.dtype in (torch.float16, torch.bfloat16) for parameter in model.parameters())
    record = GradientRecord(
        tuple(
            [_probe(inputs, value) for value in inputs.args]
            + [_probe(inputs, value, name) for name, value in inputs.kwargs.items()]
        ),
        {name: float(value.float().norm()) for name, value in gradients.items() if value is not None},
        tuple(name for name, value in gradients.items() if value is None),
        HALF_TOLERANCE if half else TOLERANCE,
    )
    return gradients, record


def _probe(inputs: ExampleInputs, value: Tensor, name: str = "") -> Probe:
    return Probe.of(value, _SAMPLES, name, by_column=inputs.has_columns(value))


def compare_gradients(expected: Gradients, record: GradientRecord, module: GraphModule) -> None:
    """Raise `OgaError` where the file's gradients differ from those in memory, naming the parameters."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    gradients = _gradients({name: parameters[name] for name in expected if name in parameters}, _probed(module, record))
    size = math.sqrt(sum(norm**2 for norm in record.norms.values()))
    gaps = {name: _gap(value, gradients.get(name)) for name, value in expected.items() if value is not None}
    error = math.sqrt(sum(gap**2 for gap in gaps.values())) / max(size, 1e-30)
    if error <= record.tolerance:
        return
    worst = sorted(gaps, key=gaps.__getitem__, reverse=True)[:_NAMED]
    raise OgaError(
        f"The exported model has the outputs of the model but not its gradients, which differ by {error:.0%} (most in "
        f"{', '.join(worst)}): a step defines its own backward (torch.autograd.Function), or keeps what an earlier run "
        "without gradients left in it. Write that step with ordinary tensor operations and compute it on each call, or "
        "bring the model's outputs (logits and features) instead."
    )


def check_record(path: Path, module: GraphModule) -> tuple[str, ...]:
    """Compare a file's gradients with the norms in it; return sentences for the person, none where all is reached.

    Raises `OgaError` where they differ: another version of torch may compute something else. Nothing is compared for
    a file that `package_model` did not write.
    """
    with Archive(path) as archive:
        if f"extra/{ENTRY}" not in archive:
            return ()
        record = _record(archive.read_json(f"extra/{ENTRY}"), path.name, len(module.input_shapes))
    parameters = dict(module.named_parameters(remove_duplicate=False))
    try:
        logits = _probed(module, record)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:  # probes that another model takes
        raise OgaError(
            f"{path.name} cannot be run on the inputs that {ENTRY} in it describes: {first_lines(str(error))} "
            "Package the model again."
        ) from None
    gradients = _gradients({name: parameters[name] for name in record.norms if name in parameters}, logits)
    size = math.sqrt(sum(norm**2 for norm in record.norms.values()))
    for name, norm in record.norms.items():
        gradient = gradients.get(name)
        length = 0.0 if gradient is None else float(gradient.float().norm())
        if not abs(length - norm) <= record.tolerance * max(size, 1e-30):
            raise OgaError(
                f"The gradient of {name[:80]} in {path.name} is not what it was when the model was packaged: its norm "
                f"is {length:.4g}, not {norm:.4g}. Package the model again with the torch that scores it "
                f"({torch.__version__})."
            )
    return unreached(record)


def unreached(record: GradientRecord) -> tuple[str, ...]:
    """Return a sentence that counts and names the parameters without a gradient, none where there are none."""
    if not record.not_reached:
        return ()
    count = len(record.norms) + len(record.not_reached)
    more = f" and {len(record.not_reached) - _NAMED} more" if len(record.not_reached) > _NAMED else ""
    named = ", ".join(name[:80] for name in record.not_reached[:_NAMED])
    return (
        f"The loss does not reach {len(record.not_reached)} of {count} parameter tensors: "
        f"{named}{more}. They have no gradient.",
    )


@torch.enable_grad()
def _gradients(parameters: Mapping[str, nn.Parameter], logits: Tensor) -> Gradients:
    """The gradient of a fixed sum of the logits by each parameter, None where it is not reached."""
    trained = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    total = (logits.float() * probe_like(logits)).sum()
    if not trained or not total.requires_grad:
        return dict.fromkeys(trained)
    values = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    return {
        name: value.to_dense() if value is not None and value.is_sparse else value
        for name, value in zip(trained, values, strict=True)
    }


def _probed(module: GraphModule, record: GradientRecord) -> Tensor:
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    args = [probe.tensor(device) for probe in record.probes if not probe.name]
    kwargs = {probe.name: probe.tensor(device) for probe in record.probes if probe.name}
    with torch.enable_grad():
        logits: Tensor = module(*args, **kwargs)
    return logits


def _gap(expected: Tensor, gradient: Tensor | None) -> float:
    return float(expected.float().norm() if gradient is None else (expected.float() - gradient.float()).norm())


def _record(content: Any, origin: str, n_inputs: int) -> GradientRecord:
    """Return the record in a file; raises `OgaError` for one that `package_model` cannot have written."""
    try:
        probes = tuple(Probe.from_json(probe) for probe in content["probes"][: n_inputs + 1])
        norms = {str(name): float(norm) for name, norm in content["norms"].items()}
        if len(probes) > n_inputs or sum(math.prod(probe.shape) for probe in probes) > MAX_ELEMENTS:
            raise ValueError(probes)
        if not all(0 <= norm < _LARGEST_NORM for norm in norms.values()):
            raise ValueError(norms)
        not_reached: list[Any] = list(content["not_reached"])
        return GradientRecord(probes, norms, tuple(map(str, not_reached)), min(float(content["tolerance"]), 1.0))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise OgaError(f"{ENTRY} in {origin} is damaged. Package the model again.") from None
