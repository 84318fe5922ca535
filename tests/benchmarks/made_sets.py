"""Made and tabular data sets with known wrong labels, and what every set of the detection benchmark is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet, Source
from oga_core.tasks import Task
from oga_core.tasks.task import Batch, classification_losses

Labels = NDArray[np.int64]
Predict = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(eq=False)
class BenchmarkSet:
    """Samples with given and true labels under one model.

    retrain: trains anew on some rows and returns logits of all samples; for out-of-sample baselines.
    accuracy: trains anew on some rows and returns the accuracy on clean samples.
    pass_seconds: CPU seconds of the gradient pass over the samples.
    """

    sketch: GradientSketch
    wrong: NDArray[np.bool_]
    validation: GradientSketch | None = None
    checkpoints: tuple[GradientSketch, ...] = ()
    validation_checkpoints: tuple[GradientSketch, ...] = ()
    retrain: Predict | None = None
    accuracy: Callable[[NDArray[np.int64]], float] | None = None
    pass_seconds: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Where the shared data is, where trained weights are kept, and a smaller number of samples for trying things."""

    data: Path
    cache: Path
    max_samples: int | None = None


class ArrayTask:
    """Samples are rows of an array that the model takes as they are."""

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        inputs = np.stack([samples.inputs[int(row)] for row in rows])
        return {"x": torch.from_numpy(inputs), "labels": torch.from_numpy(samples.given_labels[rows])}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch["x"])

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return classification_losses(outputs, batch)

    def views(self, batch: Batch) -> list[Batch]:
        return []


def array_samples(inputs: NDArray[np.float32], labels: Labels, n_classes: int) -> SampleSet:
    """Rows of an array as samples."""
    n = len(labels)
    ids, names = np.array([str(i) for i in range(n)], dtype=object), tuple(map(str, range(n_classes)))
    source = Source(Path("memory"), "memory")
    return SampleSet(ids, inputs, labels, names, "tabular", [{}] * n, np.arange(n), source, f"array-{n}")


def sketch_of(task: Task, model: nn.Module, samples: SampleSet, *, views: bool = False) -> tuple[GradientSketch, float]:
    """The product's gradient pass over the head, in memory, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        options = PassOptions(device="cpu", views=views, thumbnails=True)
        result = gradient_pass(task, model.eval(), samples, folder=Path(folder), options=options)
        seconds = time.process_time() - start
        return result.sketch.take(np.arange(len(samples))), seconds


def flipped(true: Labels, rows: NDArray[np.int64], n_classes: int, rng: np.random.Generator) -> Labels:
    """Move the labels of `rows` to a random other class."""
    given = true.copy()
    given[rows] = (true[rows] + rng.integers(1, n_classes, size=len(rows))) % n_classes
    return given


@dataclass(frozen=True)
class Made:
    """A synthetic or tabular set: inputs and true labels to train on and to validate with, and how labels go wrong.

    noise: symmetric (any other class), pair (the next class) or one_sided (only the last class, to the first).
    hidden: width of the MLP's hidden layer, 0 for logistic regression.
    labels: gives the labels from inputs, true labels and the number of classes, in place of noise and share.
    """

    load: Callable[[int], tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]]
    share: float
    noise: str = "symmetric"
    hidden: int = 0
    epochs: int = 60
    seeds: int = 30
    labels: Callable[[NDArray[np.float32], Labels, int], Labels] | None = None

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        inputs, true, clean, clean_labels = self.load(seed)
        rng, n_classes = np.random.default_rng([seed, 1]), int(true.max()) + 1
        given = self.labels(inputs, true, n_classes) if self.labels else self.given(inputs, true, n_classes, rng)
        model = self._train(inputs, given, n_classes, seed)
        task = ArrayTask()
        sketch, seconds = sketch_of(task, model, array_samples(inputs, given, n_classes))
        sketch = replace(sketch, inputs=inputs)  # as the pipeline keeps them for rows of a table
        validation, _ = sketch_of(task, model, array_samples(clean, clean_labels, n_classes))

        def retrain(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            again = self._train(inputs[rows], given[rows], n_classes, seed)
            with torch.no_grad():
                return again(torch.from_numpy(inputs)).numpy()

        def accuracy(rows: NDArray[np.int64]) -> float:
            again = self._train(inputs[rows], given[rows], n_classes, seed)
            with torch.no_grad():
                return float((again(torch.from_numpy(clean)).numpy().argmax(axis=1) == clean_labels).mean())

        return BenchmarkSet(sketch, given != true, validation, retrain=retrain, accuracy=accuracy, pass_seconds=seconds)

    def given(self, inputs: NDArray[np.float32], true: Labels, n_classes: int, rng: np.random.Generator) -> Labels:
        """Labels as they are given, some of them wrong."""
        if self.noise == "one_sided":
            last = np.flatnonzero(true == n_classes - 1)
            given = true.copy()
            given[rng.choice(last, round(self.share * len(last)), replace=False)] = 0
            return given
        rows = rng.choice(len(true), round(self.share * len(true)), replace=False)
        if self.noise == "pair":
            given = true.copy()
            given[rows] = (true[rows] + 1) % n_classes
            return given
        return flipped(true, rows, n_classes, rng)

    def _train(self, inputs: NDArray[np.float32], labels: Labels, n_classes: int, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        width = inputs.shape[1]
        if self.hidden:
            model: nn.Module = nn.Sequential(
                nn.Linear(width, self.hidden),
                nn.ReLU(),
                nn.Linear(self.hidden, self.hidden),
                nn.ReLU(),
                nn.Linear(self.hidden, n_classes),
            )
        else:
            model = nn.Sequential(nn.Linear(width, n_classes))
        x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
        return model


def gaussians(seed: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
    """The paper's linear setting: two Gaussian classes in the plane, 150 samples to train on, 100 to validate with."""
    rng = np.random.default_rng(seed)
    labels = np.arange(250) % 2
    inputs = rng.normal(size=(250, 2)) + np.where(labels[:, None] == 1, 2.0, -2.0) * np.array([1.0, 1.0]) / np.sqrt(2)
    return cut(inputs, labels, 150)


def moons(seed: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
    """The paper's non-linear setting: two half-moons, 250 samples to train on, 100 to validate with."""
    from sklearn.datasets import make_moons

    inputs, labels = make_moons(350, noise=0.2, random_state=seed)
    return cut(inputs, labels, 250)


def table(name: str) -> Callable[[int], tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]]:
    """One of scikit-learn's tables, standardised, four fifths to train on."""

    def load(seed: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        order = np.random.default_rng(seed).permutation(len(bunch.target))
        inputs = (bunch.data - bunch.data.mean(axis=0)) / np.maximum(bunch.data.std(axis=0), 1e-6)
        return cut(inputs[order], bunch.target[order], round(0.8 * len(order)))

    return load


def cut(inputs: Any, labels: Any, n: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
    """The first `n` samples to train on, the others to validate with."""
    x, y = inputs.astype(np.float32), labels.astype(np.int64)
    return x[:n], y[:n], x[n:], y[n:]
