"""Where the samples of every shard belong among all, and which of them have no result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradients.arrays import PROGRESS
from oga_core.gradients.batches import POSITIONS
from oga_core.numerics import Indices
from oga_core.samples import Problem


@dataclass(frozen=True, eq=False)
class Placement:
    """The rows of every shard among the rows of all.

    rows: where the rows of each shard's arrays belong, one array a shard. keys: places of these rows in the order of
    the pass. problems: the samples without a result by their position among all samples, ascending.
    """

    n_samples: int
    rows: list[Indices]
    keys: list[Indices]
    problems: dict[int, Problem]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Placement:
        """Read it from the folders of all shards. Raises `OgaError` where two hold the same sample."""
        tables = [np.load(folder / POSITIONS, allow_pickle=False) for folder in folders]
        positions = np.concatenate([table[:, 0] for table in tables])
        if not np.array_equal(np.sort(positions), np.arange(len(positions))):
            raise OgaError("Two shards hold the same samples. Score all shards of one run with the same batch size.")
        problems: dict[int, Problem] = {}
        readable = []
        for folder, table in zip(folders, tables, strict=True):
            own = _problems(folder)
            problems |= {int(table[row, 0]): problem for row, problem in own.items()}
            readable.append(np.delete(table, list(own), axis=0))
        rows = np.sort(np.concatenate([table[:, 0] for table in readable]))
        places = [np.searchsorted(rows, table[:, 0]) for table in readable]
        return cls(len(positions), places, [table[:, 1] for table in readable], dict(sorted(problems.items())))


def progress_of(folder: Path) -> dict[str, Any]:
    """Return what a finished pass says in a shard's folder; nothing for outputs, which need no pass."""
    path = folder / "arrays" / PROGRESS
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return content


def given_up_in(folder: Path) -> set[str]:
    """Return what the pass in a shard's folder found not to hold for the model."""
    return set(progress_of(folder).get("given_up", ()))


def _problems(folder: Path) -> dict[int, Problem]:
    return {position: Problem(*problem) for position, *problem in progress_of(folder).get("problems", ())}
