"""Features that are made when they are read, block by block: a copy of a million samples on 512 waves is 2 GB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import Array, Indices, PrincipalAxes, Rows, each_in_threads

WAVES = 256
FLAT = 1e-6
"""A column that varies less is constant: what is left of it is rounding."""


@dataclass(frozen=True, eq=False)
class ScaledRows:
    """Columns with mean 0 and variance 1; constant columns become 0. mean, scale: `(n_features,)`."""

    features: Rows
    mean: Array
    scale: Array

    @classmethod
    def of(cls, features: Rows) -> ScaledRows:
        """Measure mean and variance in two passes over the rows."""
        n_samples = max(len(features), 1)
        total = np.zeros(features.shape[1])
        for part_of_it in each_in_threads(lambda part: features[part].sum(axis=0, dtype=np.float64), len(features)):
            total += part_of_it
        mean = (total / n_samples).astype(np.float32)
        squares = np.zeros_like(total)
        for part_of_it in each_in_threads(
            lambda part: ((features[part] - mean) ** 2).sum(axis=0, dtype=np.float64), len(features)
        ):
            squares += part_of_it
        spread = np.sqrt(squares / n_samples)
        return cls(features, mean, (1 / np.where(spread > FLAT, spread, np.inf)).astype(np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_samples, n_features)`."""
        return self.features.shape

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Indices) -> Array:
        block: Array = np.asarray(self.features[rows], dtype=np.float32) - self.mean
        block *= self.scale
        return block


@dataclass(frozen=True, eq=False)
class FourierRows:
    """Cosines and sines of random waves through the features. waves: `(n_features, 256)`."""

    features: ScaledRows
    waves: Array

    @classmethod
    def of(cls, features: Rows) -> FourierRows:
        """Draw waves as long as the standardised features are apart."""
        width = features.shape[1]
        waves = np.random.default_rng(0).normal(size=(width, WAVES)).astype(np.float32)
        return cls(ScaledRows.of(features), waves / np.sqrt(2 * width, dtype=np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_samples, 512)`."""
        return len(self.features), 2 * WAVES

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Indices) -> Array:
        angles = self.features[rows] @ self.waves
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


@dataclass(frozen=True, eq=False)
class TakenRows:
    """Some of the rows, which are not copied. taken: their positions, `(n_taken,)`."""

    features: Rows
    taken: Indices

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_taken, n_features)`."""
        return len(self.taken), self.features.shape[1]

    def __len__(self) -> int:
        return len(self.taken)

    def __getitem__(self, rows: slice | Indices) -> Array:
        return np.asarray(self.features[self.taken[rows]])


@dataclass(frozen=True, eq=False)
class TurnedRows:
    """Rows along their principal axes."""

    features: Rows
    axes: PrincipalAxes

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n_samples, n_axes)`."""
        return len(self.features), self.axes.axes.shape[1]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Indices) -> Array:
        return np.asarray(self.axes.project(self.features[rows]), dtype=np.float32)
