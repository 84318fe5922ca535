"""What becomes of an architecture: packaged, read back, scored, and compared with one backward pass a sample."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from architecture import Architecture
from engine_helpers import ArrayTask, samples_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import oga_core
from oga_core.errors import OgaError
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.pt2.reader import read_pt2
from oga_core.samples import SampleSet

N_SAMPLES = 12
LARGE = 10_000  # numbers of an input from which a few samples keep a processor busy
TOLERANCE = 1e-3  # relative, of a sample's norm: float32 over some layers; a lost backward is off by a per cent or more
CLASSES = ("a", "b", "c")


@dataclass(frozen=True)
class Outcome:
    """exact, partial (some parameters left out, and said so), wrong, or refused, and what was said or measured.

    error: the largest relative error of a sample's norm. ratio: to a forward and backward pass of the same batch.
    """

    result: str
    note: str = ""
    error: float = 0.0
    coverage: float = 0.0
    ratio: float | None = None


def outcome(architecture: Architecture, folder: Path, *, timed: bool = False) -> Outcome:
    """Bring an architecture through the front door."""
    try:
        path = _package(architecture, folder)
        graph, _ = read_pt2(path)
        samples = _samples(architecture)
        result = gradient_pass(
            ArrayTask(), graph, samples, folder=folder / "arrays", options=PassOptions(parameters="all", batch_size=5)
        )
    except OgaError as error:
        return Outcome("refused", str(error))
    exact = _exact_norms(architecture.model(), samples)
    norms = result.sketch.l2_norm_all
    assert norms is not None
    error = float(np.max(np.abs(norms - exact) / exact.max()))
    coverage = float(result.sketch.coverage)
    name = "exact" if coverage == 1 else "partial"
    if coverage == 1 and error > TOLERANCE and error > 2 * _rounding(architecture, samples, exact):
        name = "wrong"
    ratio = _ratio(architecture, graph, folder) if timed else None
    return Outcome(name, " ".join(result.notes), error, coverage, ratio)


def _package(architecture: Architecture, folder: Path) -> Path:
    prepared: dict[str, Any] = {"tokens": {"max_length": 12}, "image": {"mean": [0.0], "std": [1.0]}}.get(
        architecture.kind, {"features": ["x"]}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return oga_core.package_model(
            architecture.model(), architecture.inputs(3), folder / "model.pt2", classes=CLASSES,
            modality={"image": "image", "tokens": "text"}.get(architecture.kind, "tabular"), input=prepared,
        )  # fmt: skip


def _samples(architecture: Architecture, n: int = N_SAMPLES) -> SampleSet:
    inputs = architecture.inputs(n, seed=5).numpy()
    return samples_of(inputs, np.arange(n) % len(CLASSES), len(CLASSES))


def _rounding(architecture: Architecture, samples: SampleSet, norms: np.ndarray) -> float:
    """How far norms in float32 are from those in float64: deep models with random weights are off by a thousandth."""
    inputs = samples.inputs if samples.inputs.dtype.kind == "i" else samples.inputs.astype(np.float64)
    exact = _exact_norms(architecture.model().double(), replace(samples, inputs=inputs))
    return float(np.max(np.abs(norms - exact) / exact.max()))


def _exact_norms(model: nn.Module, samples: SampleSet) -> np.ndarray:
    parameters = [p for p in model.parameters() if p.requires_grad]
    norms = []
    for x, label in zip(torch.from_numpy(samples.inputs), torch.from_numpy(samples.given_labels), strict=True):
        loss = cross_entropy(_logits(model(x[None])), label[None])
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)  # caches keep one
        norms.append(torch.cat([g.flatten() for g in gradients if g is not None]).norm().item())
    return np.array(norms)


def _logits(output: Any) -> Tensor:
    return getattr(output, "logits", output)


def _ratio(architecture: Architecture, graph: nn.Module, folder: Path) -> float:
    """Processor time of one more batch of the pass over that of forward and backward, each at its best of three.

    What a pass costs once, its self-check above all, cancels out between a pass over one batch and one over more.
    """
    n, more = (96 if math.prod(architecture.input_shape) < LARGE else 8), 4
    model = architecture.model()
    few, many = _samples(architecture, n), _samples(architecture, n * (1 + more))
    x, labels = torch.from_numpy(few.inputs), torch.from_numpy(few.given_labels)
    options = PassOptions(parameters="all", batch_size=n)

    def passed(samples: SampleSet, name: str) -> float:
        begun = time.process_time()
        gradient_pass(ArrayTask(), graph, samples, folder=folder / name, options=options)
        return time.process_time() - begun

    def stepped() -> float:
        begun = time.process_time()
        cross_entropy(_logits(model(x)), labels).backward()
        return time.process_time() - begun

    turns = [(passed(few, f"few-{turn}"), passed(many, f"many-{turn}"), stepped()) for turn in range(3)]
    one, all_of_them, step = map(min, zip(*turns, strict=True))
    return round((all_of_them - one) / more / step, 2)
