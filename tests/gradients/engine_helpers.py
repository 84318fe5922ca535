"""Small samples and tasks for the tests of the gradient engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.samples import SampleSet, Source, UnreadableSample
from oga_core.tasks.task import Batch, classification_losses


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
