"""What rows are, given their prompts: leave-one-out residuals of a ridge regression on the prompts' states."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from oga_core.numerics import Array, Floats, Values, slices

PENALTY = 0.1
"""Of the ridge, as a share of the mean squared column: with as many columns as rows no row explains itself."""
LARGEST_LEVERAGE = 0.95
"""A row that is alone in its corner would otherwise have a residual of any size."""

LEAST = 1e-6
"""Losses and lengths below this are rounding; their logarithms stay finite."""
SCALES: tuple[Callable[[Values], Values], ...] = (np.log, np.sqrt, np.positive)
"""For values that vary in proportion to what is expected, as counts do, or alike everywhere."""


def unit_rows(rows: Floats) -> Array:
    """The rows at unit length, `(n_samples, n_columns)` in float32; a row of zeros stays one."""
    values = np.asarray(rows, dtype=np.float32)
    units: Array = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return units


def prompt_inputs(*states: Floats) -> Array:
    """The columns to regress on, `(n_samples, 1 + …)`: one, and each of the states at unit length, centred."""
    units = [unit_rows(part) for part in states]
    parts = [part - part.mean(axis=0, dtype=np.float64).astype(np.float32) for part in units]
    return np.concatenate([np.ones((len(parts[0]), 1), dtype=np.float32), *parts], axis=1)


class PromptRegression:
    """Ridge regression on `(n_samples, n_columns)`, and the leverage of every row, `(n_samples,)`."""

    def __init__(self, inputs: Array):
        self.inputs = inputs
        gram = np.zeros((inputs.shape[1],) * 2)
        for part in slices(len(inputs)):
            block = inputs[part].astype(np.float64)
            gram += block.T @ block
        gram[np.diag_indices(len(gram))] += PENALTY * np.trace(gram) / len(gram)
        self.inverse = np.linalg.inv(gram)
        leverages = [np.einsum("ij,ij->i", inputs[part] @ self.inverse, inputs[part]) for part in slices(len(inputs))]
        self.leverages: Values = np.minimum(np.concatenate(leverages), LARGEST_LEVERAGE)

    def residuals(self, targets: Floats) -> Values:
        """Leave-one-out residuals (y - ŷ) / (1 - h) of `(n_samples,)`."""
        return np.concatenate([block[:, 0] for block in self._blocks(np.asarray(targets)[:, None], _as_they_are)])

    def residual_norms(self, targets: Floats, *, unit: bool = False) -> Values:
        """Lengths of the leave-one-out residuals of the rows of `(n_samples, n_targets)`, `(n_samples,)`.

        unit: of the rows at unit length. Targets may be memory-mapped and larger than memory.
        """
        return np.concatenate(
            [np.linalg.norm(block, axis=1) for block in self._blocks(targets, unit_rows if unit else _as_they_are)]
        )

    def _blocks(self, targets: Floats, read: Callable[[Floats], Floats]) -> Iterator[Values]:
        parts = list(slices(len(targets)))
        coefficients = self.inverse @ sum(self.inputs[part].T @ read(targets[part]) for part in parts)
        for part in parts:
            misses: Values = read(targets[part]) - self.inputs[part] @ coefficients
            yield misses / (1 - self.leverages[part])[:, None]


def even_residuals(regression: PromptRegression, values: Values) -> Values:
    """Leave-one-out residuals on the scale in `SCALES` where their size depends least on what is expected,
    `(n_samples,)`; by Spearman's correlation, as in Tukey's plot of spread against level (1977).

    On another scale rows of which much is expected, or little, would stand out for that alone.
    """
    from scipy.stats import spearmanr

    candidates = []
    for scale in SCALES:
        targets = scale(np.maximum(values, LEAST))
        residuals = regression.residuals(targets)
        sizes = np.abs(residuals - np.median(residuals))
        candidates.append((abs(float(spearmanr(sizes, targets - residuals).statistic)), residuals))
    return min(candidates, key=lambda each: each[0])[1]


def _as_they_are(rows: Floats) -> Values:
    return np.asarray(rows, dtype=np.float64)
