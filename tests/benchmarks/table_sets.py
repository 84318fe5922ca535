"""Real tables of the shared data with noise of three kinds, the same and others with one rare class, and a bundle."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from made_sets import BenchmarkSet, Labels, Made, Settings, cut, flipped
from numpy.typing import NDArray

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import outputs_pass

NAMES, KINDS, SHARES = ("adult", "phoneme", "wine_white"), ("uniform", "one_sided", "feature"), (0.1, 0.2)
HIDDEN, EPOCHS = (0, 32, 64), (8, 15, 30)
"""Models as people train them on tables, drawn by the seed: a line or a small network, some of them a little long."""
RARE = 40
"""Samples of the other classes for one of the rare one."""
Rows = tuple[NDArray[np.float32], Labels]


def read_table(folder: Path, name: str) -> Rows:
    """Columns as the model card's reader makes them, standardised, and class numbers."""
    frame = pd.read_csv(folder / "tables" / f"{name}.csv")
    columns = pd.get_dummies(frame.iloc[:, 1:-1], dtype=float)
    return standardised(columns.to_numpy(dtype=np.float64)), pd.factorize(frame.iloc[:, -1], sort=True)[0]


def standardised(inputs: NDArray[np.float64]) -> NDArray[np.float32]:
    """Columns with mean 0 and variance 1."""
    return ((inputs - inputs.mean(axis=0)) / np.maximum(inputs.std(axis=0), 1e-6)).astype(np.float32)


def generated(folder: Path, name: str) -> Rows:
    """Two classes of scikit-learn's generator, the same every time."""
    from sklearn.datasets import make_classification

    inputs, labels = make_classification(5000, 20, n_informative=8, class_sep=1.5, random_state=len(name))
    return standardised(inputs), labels


@dataclass(frozen=True)
class Table:
    """One table: four fifths to train on with some labels wrong, the rest clean.

    noise: of `make_tables.py`, or "rare": any label may be wrong, and the last class is one in forty.
    """

    name: str
    noise: str
    share: float
    read: Callable[[Path, str], Rows] = read_table
    seeds: int = 2

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        rng = np.random.default_rng([seed, *map(ord, self.name + self.noise), round(1000 * self.share)])
        inputs, true = self.read(settings.data, self.name)
        rows = rng.permutation(len(true)) if self.noise != "rare" else _with_few_of_the_last(true, rng)
        made = Made(
            lambda _: cut(inputs[rows], true[rows], round(0.8 * len(rows))),
            self.share,
            hidden=int(rng.choice(HIDDEN)),
            epochs=int(rng.choice(EPOCHS)),
            labels=lambda x, y, k: self._given(settings.data, x, y, k, seed),
        )
        return made(settings, seed)

    def _given(self, folder: Path, inputs: NDArray[np.float32], true: Labels, n_classes: int, seed: int) -> Labels:
        if self.share == 0:
            return true
        if self.noise == "rare":
            rng = np.random.default_rng([seed, 1])
            return flipped(true, rng.choice(len(true), round(self.share * len(true)), replace=False), n_classes, rng)
        return np.asarray(_script(folder).noisy_labels(self.noise, self.share, inputs, true, seed))


def _with_few_of_the_last(true: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    last = np.flatnonzero(true == true.max())
    others = np.flatnonzero(true != true.max())
    few = rng.choice(last, max(8, len(others) // RARE), replace=False)
    return rng.permutation(np.concatenate([others, few]))


def _script(folder: Path) -> Any:
    """The shared data's own function for noise."""
    spec = importlib.util.spec_from_file_location("make_tables", folder / "tables" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Bundle:
    """Bank queries in 77 classes as a bundle of outputs; with_features: False for the logits alone."""

    with_features: bool = True
    seeds: int = 1

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        import tempfile

        folder = settings.data / "banking77"
        with np.load(folder / "outputs.npz", allow_pickle=False) as arrays:
            bundle = {name: arrays[name] for name in arrays.files}
        given = bundle["labels"].astype(np.int64)
        true = pd.read_csv(folder / "truth.csv", index_col=0)["true_label"].to_numpy(dtype=np.int64)
        features = bundle["features"].astype(np.float32) if self.with_features else None
        with tempfile.TemporaryDirectory() as scratch:
            logits = bundle["logits"].astype(np.float32)
            result = outputs_pass(logits, features, given, folder=Path(scratch), options=PassOptions(device="cpu"))
            return BenchmarkSet(result.sketch.take(np.arange(len(given))), given != true)


TABLES: dict[str, Table | Bundle] = {
    f"{name}_{noise}_{share:g}": Table(name, noise, share) for name in NAMES for noise in KINDS for share in SHARES
}
CLEAN: dict[str, Table | Bundle] = {f"{name}_clean": Table(name, "uniform", 0.0) for name in NAMES}
RARE_CLASS: dict[str, Table | Bundle] = {
    **{f"{name}_rare_{share:g}": Table(name, "rare", share) for name in NAMES for share in (0.05, 0.15)},
    **{f"generated_rare_{share:g}": Table("generated", "rare", share, generated) for share in (0.05, 0.15)},
}
BUNDLES: dict[str, Table | Bundle] = {"banking": Bundle(), "banking_logits": Bundle(with_features=False)}
