"""Sixty small problems drawn at random: data, kind and share of noise, and model, so that no one set decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from made_sets import BenchmarkSet, Labels, Made, Settings, cut, gaussians, moons, table
from numpy.typing import NDArray

Load = Callable[[int], tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]]
COUNT, SEED = 60, 7


def generated(maker: str, **options: Any) -> Load:
    """One of scikit-learn's generators, standardised, four fifths to train on."""

    def load(seed: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
        from sklearn import datasets

        inputs, labels = getattr(datasets, f"make_{maker}")(random_state=seed, **options)
        order = np.random.default_rng(seed).permutation(len(labels))
        inputs = (inputs - inputs.mean(axis=0)) / np.maximum(inputs.std(axis=0), 1e-6)
        return cut(inputs[order], labels[order], round(0.8 * len(order)))

    return load


DATA: dict[str, Load] = {
    "iris": table("iris"),
    "wine": table("wine"),
    "tumours": table("breast_cancer"),
    "digits": table("digits"),
    "moons": moons,
    "gaussians": gaussians,
    "circles": generated("circles", n_samples=500, noise=0.15, factor=0.5),
    "three": generated("classification", n_samples=1500, n_features=20, n_informative=8, n_redundant=4, n_classes=3),
    "five": generated("classification", n_samples=3000, n_features=40, n_informative=15, n_classes=5),
    "unbalanced": generated(
        "classification", n_samples=2000, n_features=15, n_informative=6, n_classes=3, weights=[0.75, 0.2, 0.05]
    ),
    "clusters": generated(
        "classification", n_samples=1200, n_features=30, n_informative=10, n_clusters_per_class=3, class_sep=1.2
    ),
    "shells": generated("gaussian_quantiles", n_samples=1000, n_features=6, n_classes=3),
}


@dataclass(frozen=True)
class HardFlipped(Made):
    """Labels go wrong where classes lie close to one another, to the class nearby."""

    def given(self, inputs: NDArray[np.float32], true: Labels, n_classes: int, rng: np.random.Generator) -> Labels:
        distances = np.stack(
            [
                np.linalg.norm(inputs[:, None] - inputs[true == k][None], axis=2).min(axis=1)
                if (true == k).any()
                else np.full(len(true), np.inf)
                for k in range(n_classes)
            ],
            axis=1,
        )
        distances[np.arange(len(true)), true] = np.inf
        closeness = np.exp(-2 * distances.min(axis=1) / np.median(distances.min(axis=1)))
        chance = closeness / closeness.sum()
        rows = rng.choice(len(true), round(self.share * len(true)), replace=False, p=chance)
        given = true.copy()
        given[rows] = distances[rows].argmin(axis=1)
        return given


def random_sets(seed: int = SEED) -> dict[str, Callable[[Settings, int], BenchmarkSet]]:
    """The problems by name; the same ones every time by the same seed."""
    rng = np.random.default_rng(seed)
    problems: dict[str, Callable[[Settings, int], BenchmarkSet]] = {}
    for number in range(COUNT):
        data = list(DATA)[number % len(DATA)]
        noise = str(rng.choice(["symmetric", "symmetric", "pair", "one_sided", "hard"]))
        share = float(rng.choice([0.05, 0.1, 0.2, 0.3] if noise != "one_sided" else [0.2, 0.35]))
        hidden, epochs = int(rng.choice([0, 16, 32, 64])), int(rng.choice([10, 20, 60, 150]))
        kind = HardFlipped if noise == "hard" else Made
        name = f"{number:02d}_{data}_{noise}_{share:g}_hidden{hidden}_epochs{epochs}"
        problems[name] = kind(DATA[data], share, noise=noise, hidden=hidden, epochs=epochs, seeds=2)
    return problems
