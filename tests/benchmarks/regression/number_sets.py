"""Tables of numbers to predict, some of them made wrong in three ways, and the networks that were trained on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_sets import ArrayTask, array_samples, sketch_of
from table_sets import standardised

from oga_core.gradient_sketch import GradientSketch
from oga_core.samples import SampleSet
from oga_core.tasks.losses import Loss, labels_at
from oga_core.tasks.task import Batch

Values = NDArray[np.float64]
Rows = tuple[NDArray[np.float64], Values]
KINDS, SHARES = ("another row's", "shifted", "decimal slip"), (0.05, 0.15)
HIDDEN, EPOCHS = ((32,), (64, 64), (128, 64)), (40, 80, 150)
"""Networks as people train them on tables, drawn by the seed."""
MEMORISED_EPOCHS, MEMORISED_WIDTHS = 1500, (512, 512)
MOST = 1500


class NumberTask(ArrayTask):
    """Rows of an array and the numbers that a network predicts from them."""

    def __init__(self, loss: Loss):
        self.loss = loss

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        return {**super().batch(samples, rows), "labels": labels_at(samples, rows)}

    def losses(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.loss(outputs, batch["labels"])


def diabetes(folder: Path) -> Rows:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)


def friedman(number: int) -> Callable[[Path], Rows]:
    """One of Friedman's three functions with the noise that leaves nine tenths of the variance explained."""

    def make(folder: Path) -> Rows:
        from sklearn import datasets

        generator = getattr(datasets, f"make_friedman{number}")
        clean = generator(MOST, random_state=0)[1]
        return generator(MOST, noise=float(clean.std()) / 3, random_state=0)

    return make


def alcohol(folder: Path) -> Rows:
    """The alcohol of white wines, in per cent, from their other measurements."""
    frame = pd.read_csv(folder / "tables" / "wine_white.csv").sample(MOST, random_state=0)
    measured = frame.drop(columns=["id", "label", "alcohol"])
    return measured.to_numpy(dtype=np.float64), frame["alcohol"].to_numpy(dtype=np.float64)


def texture(folder: Path) -> Rows:
    """The worst smoothness of cells' nuclei from the means of their other measurements."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    means = [i for i, name in enumerate(table.feature_names) if name.startswith("mean")]
    return table.data[:, means], table.data[:, list(table.feature_names).index("worst smoothness")]


TABLES: dict[str, Callable[[Path], Rows]] = {
    "diabetes": diabetes,
    "friedman1": friedman(1),
    "friedman2": friedman(2),
    "friedman3": friedman(3),
    "wine": alcohol,
    "cells": texture,
}


def made_wrong(true: Values, kind: str, share: float, rng: np.random.Generator) -> Values:
    """The numbers with a share of them another row's, shifted by one to three standard deviations, or ten times."""
    given = true.copy()
    rows = rng.choice(len(true), round(share * len(true)), replace=False)
    if kind == "another row's":
        given[rows] = true[(rows + rng.integers(1, len(true), len(rows))) % len(true)]
    elif kind == "shifted":
        given[rows] += rng.choice([-1, 1], len(rows)) * rng.uniform(1, 3, len(rows)) * true.std()
    else:
        given[rows] *= np.where(rng.random(len(rows)) < 0.5, 10.0, 0.1)
    return given


@dataclass(frozen=True, eq=False)
class NumberSet:
    """A table under one trained network: its sketch, which numbers are wrong, and what rivals read."""

    sketch: GradientSketch
    wrong: NDArray[np.bool_]
    true: Values
    inputs: NDArray[np.float32]
    given: Values


def make_set(folder: Path, table: str, kind: str, share: float, seed: int, *, memorised: bool = False) -> NumberSet:
    """One table with wrong numbers of one kind, under a network drawn by the seed or one that has learnt them."""
    raw, true = TABLES[table](folder)
    inputs = standardised(raw)
    rng = np.random.default_rng([seed, *map(ord, table + kind), round(1000 * share)])
    given = made_wrong(true, kind, share, rng)
    loss = Loss("mean_squared_error", mean=float(given.mean()), std=float(given.std()))
    widths = MEMORISED_WIDTHS if memorised else HIDDEN[rng.integers(len(HIDDEN))]
    epochs = MEMORISED_EPOCHS if memorised else int(rng.choice(EPOCHS))
    model = _trained(inputs, given, loss, widths, epochs, seed)
    samples = replace(
        array_samples(inputs, np.full(len(given), -1), 0), targets=given, fingerprint=f"{table}{kind}{share}"
    )
    sketch, _ = sketch_of(NumberTask(loss), model, samples)
    return NumberSet(replace(sketch, inputs=inputs), given != true, true, inputs, given)


def _trained(
    inputs: NDArray[np.float32], given: Values, loss: Loss, widths: tuple[int, ...], epochs: int, seed: int
) -> nn.Module:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for width, following in zip((inputs.shape[1], *widths), widths, strict=False):
        layers += [nn.Linear(width, following), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
    x, y = torch.from_numpy(inputs), torch.from_numpy(given.astype(np.float32))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3 if len(widths) == 1 else 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(128):
            optimiser.zero_grad()
            loss(model(x[rows]), y[rows]).mean().backward()
            optimiser.step()
    return model
