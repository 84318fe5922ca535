"""Sets of several labels a sample, some of them dropped and a few added, and the networks that were trained on them."""

from __future__ import annotations

import json
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
sys.path.insert(0, str(Path(__file__).parents[1] / "regression"))

from made_sets import array_samples, sketch_of
from number_sets import NumberTask
from table_sets import standardised

from oga_core.gradient_sketch import GradientSketch
from oga_core.tasks.losses import Loss

Flags = NDArray[np.bool_]
Rows = tuple[NDArray[np.float64], Flags]
NOISES = {"dropped": (0.2, 0.0), "both": (0.15, 0.03)}
"""Shares of the labels that are there of which each is dropped, and of those that are not of which each is added."""
HIDDEN, EPOCHS = ((64,), (128, 64)), (30, 60, 120)
MOST = 2000
TOPICS = ("card", "cash", "transfer", "top_up", "exchange", "identity", "charge", "declined", "pending", "refund")


def made(folder: Path) -> Rows:
    from sklearn.datasets import make_multilabel_classification

    inputs, labels = make_multilabel_classification(MOST, 30, n_classes=8, n_labels=3, length=60, random_state=0)
    return inputs.astype(np.float64), labels.astype(bool)


def digits(folder: Path) -> Rows:
    """What is true of the number that is written: even, prime, above four, a multiple of three, with a hole, curved."""
    from sklearn.datasets import load_digits

    table = load_digits()
    sets = ({0, 2, 4, 6, 8}, {2, 3, 5, 7}, {5, 6, 7, 8, 9}, {0, 3, 6, 9}, {0, 4, 6, 8, 9}, {0, 2, 3, 5, 6, 8, 9})
    return table.data, np.stack([np.isin(table.target, list(members)) for members in sets], axis=1)


def people(folder: Path) -> Rows:
    """What the census says of people, from the rest of what it says."""
    frame = pd.read_csv(folder / "tables" / "adult.csv").sample(MOST, random_state=0)
    flags = {
        "rich": frame["label"] == ">50K",
        "married": frame["marital_status"].str.startswith("Married"),
        "male": frame["sex"] == "Male",
        "long hours": frame["hours_per_week"] > 40,
        "degree": frame["education_num"] >= 13,
    }
    left_out = ["id", "label", "marital_status", "relationship", "sex", "hours_per_week", "education", "education_num"]
    inputs = pd.get_dummies(frame.drop(columns=left_out), dtype=float)
    return inputs.to_numpy(dtype=np.float64), np.stack([flag.to_numpy() for flag in flags.values()], axis=1)


def topics(folder: Path) -> Rows:
    """The topics in the names of bank queries' intents, from the queries' features."""
    folder = folder / "banking77"
    names = json.loads((folder / "classes.json").read_text())
    bundle = np.load(folder / "outputs.npz")
    true = pd.read_csv(folder / "truth.csv")["true_label"].to_numpy()
    flags = np.array([[topic in name.lower() for topic in TOPICS] for name in names])
    rows = np.random.default_rng(0).permutation(len(true))[:MOST]
    return bundle["features"][rows].astype(np.float64), flags[true[rows]]


SETS: dict[str, Callable[[Path], Rows]] = {"made": made, "digits": digits, "people": people, "topics": topics}


@dataclass(frozen=True, eq=False)
class LabelSet:
    """A set under one trained network: its sketch, and which cells of labels are wrong, `(n_samples, n_labels)`."""

    sketch: GradientSketch
    wrong: Flags
    inputs: NDArray[np.float32]
    given: Flags


def make_set(folder: Path, name: str, noise: str, seed: int) -> LabelSet:
    """One set with wrong labels of one kind, under a network drawn by the seed."""
    raw, true = SETS[name](folder)
    inputs = standardised(raw)
    rng = np.random.default_rng([seed, *map(ord, name + noise)])
    dropped, added = NOISES[noise]
    given = np.where(true, rng.random(true.shape) >= dropped, rng.random(true.shape) < added)
    loss = Loss("binary_cross_entropy")
    model = _trained(inputs, given, loss, HIDDEN[rng.integers(len(HIDDEN))], int(rng.choice(EPOCHS)), seed)
    samples = replace(
        array_samples(inputs, np.full(len(given), -1), true.shape[1]),
        targets=given.astype(np.float64),
        fingerprint=f"{name}{noise}{seed}",
    )
    sketch, _ = sketch_of(NumberTask(loss), model, samples)
    return LabelSet(replace(sketch, inputs=inputs), given != true, inputs, given)


def _trained(
    inputs: NDArray[np.float32], given: Flags, loss: Loss, widths: tuple[int, ...], epochs: int, seed: int
) -> nn.Module:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for width, following in zip((inputs.shape[1], *widths), widths, strict=False):
        layers += [nn.Linear(width, following), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(widths[-1], given.shape[1]))
    x, y = torch.from_numpy(inputs), torch.from_numpy(given.astype(np.float32))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(128):
            optimiser.zero_grad()
            loss(model(x[rows]), y[rows]).mean().backward()
            optimiser.step()
    return model
