"""Problems drawn at random of very different size, difficulty and share of wrong labels: what a stranger may bring.

Those of `random_sets` are small and have wrong labels enough; here the classes may overlap more than labels are wrong,
a model may be trained for too short a time, and of the problems with few wrong labels a quarter has none at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from made_sets import BenchmarkSet, Labels, Made, Settings, table
from numpy.typing import NDArray
from random_sets import HardFlipped, Load, generated

COUNT = 60
MAKERS = ("tangled", "digits", "blobs", "tumours", "tangled", "shells", "moons", "tangled", "digits", "circles")
NOISE = ("symmetric", "symmetric", "pair", "one_sided", "hard", "hard")
FEW = (0.0, 0.01, 0.02, 0.03)
"""Shares of wrong labels where there are few."""


def varied_sets(seed: int, *, few: bool = False) -> dict[str, Callable[[Settings, int], BenchmarkSet]]:
    """The problems by name; the same ones every time by the same seed. few: with no or hardly any wrong label."""
    rng = np.random.default_rng(seed)
    problems: dict[str, Callable[[Settings, int], BenchmarkSet]] = {}
    for number in range(COUNT):
        maker = MAKERS[number % len(MAKERS)]
        size = round(10 ** rng.uniform(2.2, 3.7))
        load = _load(maker, size, rng)
        noise = str(rng.choice(NOISE))
        share = float(rng.choice([0.2, 0.35] if noise == "one_sided" else [0.05, 0.1, 0.2, 0.3, 0.4]))
        hidden = int(rng.choice([0, 16, 32, 64]))
        epochs = int(rng.choice([5, 10, 20, 40]))
        if few:
            share = float(rng.choice(FEW))
            noise = "symmetric" if noise == "one_sided" else noise
        kind = HardFlipped if noise == "hard" else Made
        name = f"{number:02d}_{maker}_{size}_{noise}_{share:g}_hidden{hidden}_epochs{epochs}"
        problems[name] = kind(load, share, noise=noise, hidden=hidden, epochs=epochs, seeds=2)
    return problems


def _load(maker: str, size: int, rng: np.random.Generator) -> Load:
    if maker in ("digits", "tumours"):
        name = {"digits": "digits", "tumours": "breast_cancer"}[maker]
        return _first(table(name), size)
    n_samples = round(size / 0.8)  # four fifths are trained on
    if maker == "tangled":
        return _tangled(n_samples, rng)
    if maker == "blobs":
        features, centers = int(rng.choice([2, 5, 20])), int(rng.choice([2, 4, 10]))
        spread = float(rng.choice([1.0, 2.5, 5.0]))
        return generated("blobs", n_samples=n_samples, n_features=features, centers=centers, cluster_std=spread)
    if maker == "shells":
        features, classes = int(rng.choice([3, 6, 10])), int(rng.choice([2, 3, 5]))
        return generated("gaussian_quantiles", n_samples=n_samples, n_features=features, n_classes=classes)
    if maker == "moons":
        return generated("moons", n_samples=n_samples, noise=float(rng.choice([0.1, 0.25, 0.4])))
    return generated("circles", n_samples=n_samples, noise=float(rng.choice([0.08, 0.15])), factor=0.5)


def _tangled(n_samples: int, rng: np.random.Generator) -> Load:
    """Clusters at the corners of a hypercube, some of which touch."""
    informative = int(rng.choice([3, 6, 10, 15]))
    classes = min(int(rng.choice([2, 3, 5, 8])), 2**informative)
    clusters = 1 if 2 * classes > 2**informative else int(rng.choice([1, 2]))
    return generated(
        "classification",
        n_samples=n_samples,
        n_features=informative + int(rng.choice([2, 10, 25])),
        n_informative=informative,
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=clusters,
        class_sep=float(rng.choice([0.7, 1.0, 1.6, 2.5])),
    )


def _first(load: Load, size: int) -> Load:
    """The first samples of a set."""

    def loaded(seed: int) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32], Labels]:
        inputs, labels, clean, clean_labels = load(seed)
        return inputs[:size], labels[:size], clean, clean_labels

    return loaded
