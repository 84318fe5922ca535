"""What scores, findings and the map cost, by how many samples, features and classes there are: measured, then fitted.

The numbers are in `fitted.json`, which `python tests/benchmarks/scale/fit.py` prints anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.numerics import Values

FITTED = Path(__file__).with_name("fitted.json")
EXACT_PARAMETERS = 2048
"""Of the last layer; with more, inverses are no longer exact, and cost no cube."""
FITTED_ON_MAP = 20_000
"""Samples on which the map is fitted; the others are placed."""
FITTED_ON_SCORES = 100_000
"""Samples on which what scores learn is fitted: noise, calibration, covariances; the others are only put into it."""


@dataclass(frozen=True)
class Size:
    """How much there is to score: samples, features of the last layer, classes, numbers kept of each gradient."""

    n_samples: int
    n_features: int
    n_classes: int
    sketch_dim: int

    def terms(self) -> Values:
        """What costs may grow with, `(n_terms,)`, in the order of `TERMS`."""
        n = float(self.n_samples)
        parameters = min(self.n_classes * (self.n_features + 1), EXACT_PARAMETERS)
        return np.array(
            [
                1.0,
                n,
                n * self.n_features,
                n * self.n_classes,
                n * self.sketch_dim,
                n * self.n_features * self.n_classes,
                float(parameters) ** 3,
                float(min(n, FITTED_ON_MAP)),
                min(n, FITTED_ON_SCORES) * self.n_classes,
            ]
        )


TERMS = ("1", "n", "n d", "n c", "n s", "n d c", "min(d c, 2048)³", "min(n, 20000)", "min(n, 100000) c")
"""n samples, d features, c classes, s numbers of the sketch."""


@dataclass(frozen=True)
class Cost:
    """A sum of terms with coefficients of 0 or more, and how far off it was at most.

    spread: the largest factor between what was measured and what the sum says, 1 or more.
    """

    coefficients: Mapping[str, float]
    spread: float

    @classmethod
    def fitted(cls, sizes: Sequence[Size], measured: Sequence[float]) -> Cost:
        """Fit by least squares of relative errors, no coefficient negative (Lawson and Hanson 1974)."""
        from scipy.optimize import nnls

        terms = np.stack([size.terms() for size in sizes])
        values = np.maximum(np.asarray(measured, dtype=np.float64), 1e-9)
        scale = terms.max(axis=0)
        coefficients, _ = nnls(terms / scale / values[:, None], np.ones(len(values)))
        ratios = (terms / scale) @ coefficients / values
        spread = float(np.maximum(ratios, 1 / np.maximum(ratios, 1e-9)).max())
        named = dict(zip(TERMS, coefficients / scale, strict=True))
        return cls({name: float(f"{value:.4g}") for name, value in named.items() if value > 0}, round(spread, 2))

    def of(self, size: Size) -> float:
        """What it costs at this size."""
        named = dict(zip(TERMS, size.terms().tolist(), strict=True))
        return sum(value * named[name] for name, value in self.coefficients.items())


@dataclass(frozen=True)
class CostModel:
    """Costs of the stages after the pass.

    seconds: of one processor core for all default scores ("scores"), for "findings" and for the "map". each_score:
    seconds of every score by itself. memory_mb: most that a stage holds beside mapped files. probe_seconds: what
    `probe` took where this was measured. parallel: share of the work that all cores do together.
    """

    seconds: Mapping[str, Cost]
    each_score: Mapping[str, Cost]
    memory_mb: Mapping[str, Cost]
    probe_seconds: float
    parallel: float

    @classmethod
    @cache
    def load(cls) -> CostModel:
        """Return what was fitted."""
        content: dict[str, Any] = json.loads(FITTED.read_text(encoding="utf-8"))
        parts = {
            name: {key: Cost(**cost) for key, cost in content[name].items()}
            for name in ("seconds", "each_score", "memory_mb")
        }
        return cls(**parts, probe_seconds=content["probe_seconds"], parallel=content["parallel"])

    def of_scores(self, names: Sequence[str], size: Size) -> tuple[float, float]:
        """Seconds of the named scores, all default ones where there are none, and their spread.

        Scores share much of their work, so some take no more than all together.
        """
        everything = self.seconds["scores"]
        alone = [self.each_score[name] for name in names if name in self.each_score]
        if not names or not alone:
            return everything.of(size), everything.spread
        total = sum(cost.of(size) for cost in alone)
        return min(total, everything.of(size)), max(cost.spread for cost in (everything, *alone))
