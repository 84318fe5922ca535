"""Small samples, tasks and the exact answer for the tests of the gradient engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet, Source, UnreadableSample
from oga_core.tasks.task import Batch, classification_losses

N_CLASSES = 3


def samples_of(inputs: Any, labels: NDArray[np.int64], n_classes: int) -> SampleSet:
    n = len(labels)
    return SampleSet(
        ids=np.array([f"s{i}" for i in range(n)], dtype=object),
        inputs=inputs,
        given_labels=labels,
        class_names=tuple(map(str, range(n_classes))),
        modality="tabular",
        rows=[{}] * n,
        row_numbers=np.arange(n),
        source=Source(Path("memory"), "memory"),
        fingerprint="test",
    )


def random_samples(n: int, *shape: int, n_classes: int = 3, seed: int = 0, tokens: int = 0) -> SampleSet:
    generator = np.random.default_rng(seed)
    inputs = (
        generator.integers(0, tokens, (n, *shape)) if tokens else generator.normal(size=(n, *shape)).astype(np.float32)
    )
    return samples_of(inputs, generator.integers(0, n_classes, n), n_classes)


@dataclass
class ArrayTask:
    """Samples are arrays that the model takes as they are; counts its calls and can be told which rows are broken."""

    broken: set[int] = field(default_factory=set)
    mirror: bool = False
    calls: int = 0

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        for row in rows:
            if int(row) in self.broken:
                raise UnreadableSample(f"row {row} is broken")
        inputs = np.stack([samples.inputs[int(row)] for row in rows])
        return {"x": torch.from_numpy(inputs), "labels": torch.from_numpy(samples.given_labels[rows])}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        self.calls += 1
        return model(batch["x"])

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return classification_losses(outputs, batch)

    def views(self, batch: Batch) -> list[Batch]:
        return [{**batch, "x": -batch["x"]}] if self.mirror else []


def exact_norms(model: nn.Module, samples, names=None, task=None) -> tuple[np.ndarray, np.ndarray]:
    """L1 and L2 norms of the gradients, one backward pass a sample."""
    task = task or ArrayTask()
    parameters = [p for name, p in model.named_parameters() if names is None or name in names]
    l1, l2 = [], []
    for row in range(len(samples)):
        batch = task.batch(samples, np.array([row]))
        loss = task.losses(task.outputs(model, batch), batch).sum()
        flat = torch.cat(
            [g.to_dense().flatten() for g in torch.autograd.grad(loss, parameters, materialize_grads=True)]
        )
        l1.append(flat.abs().sum().item())
        l2.append(flat.norm().item())
    return np.array(l1), np.array(l2)


def assert_exact(model: nn.Module, samples, folder, *, task=None, batch_size=5, **options):
    """The fast method is taken, covers everything, and agrees with the loop."""
    model.eval()
    result = gradient_pass(
        task or ArrayTask(),
        model,
        samples,
        folder=folder,
        options=PassOptions(parameters="all", exact_l1=True, batch_size=batch_size, **options),
    )
    assert [note for note in result.notes if "last linear layer" not in note] == []
    assert result.sketch.coverage == 1
    assert result.sketch.check_error < 1e-5
    l1, l2 = exact_norms(model, samples, task=task)
    np.testing.assert_allclose(result.sketch.l2_norm_all, l2, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.l1_norm_all, l1, rtol=1e-4)
    return result


class Pooled(nn.Module):
    """A layer under test between data and a linear head, so that its input is on the tape and its output is pooled."""

    def __init__(self, layer: nn.Module, channels: int, first: nn.Module | None = None):
        super().__init__()
        self.first, self.layer, self.head = first or nn.Identity(), layer, nn.Linear(channels, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.layer(self.first(x)))
        return self.head(hidden.flatten(2).mean(2) if hidden.ndim > 2 else hidden)


def mlp(n_in: int = 6, n_classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_in, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, n_classes))
