"""The values of a table's row beside those of its class: where each lies, and which is unusual."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.numerics import Values

NAMES = "input_names.json"
"""Beside the arrays: the column of each input that is a number; of categories, which have no order, there is none."""
QUANTILES = (0.1, 0.5, 0.9)
RARE = 0.02
"""A value is unusual of a class where fewer of its samples lie as far out, on the same side: one in fifty."""
FEWEST = 20
"""Samples of a class that say what is usual in it."""
ENDS = (0.01, 0.99)
"""Of the axis, as quantiles of all samples: what lies farther out stands at the end."""


@dataclass(frozen=True)
class Placed:
    """One value: where it lies on its column's axis, 0 to 1, and where the class's 10, 50 and 90 % lie.

    given, other: of the given label and of the suggested one, None where there are too few samples or no such class.
    unusual: of the given label.
    """

    column: str
    place: float
    given: tuple[float, ...] | None
    other: tuple[float, ...] | None
    unusual: bool


def column_names(arrays: Path, width: int) -> tuple[str, ...]:
    """Names of the inputs, empty for those that are no number's; none at all where the run has not kept them."""
    path = arrays / NAMES
    try:
        names = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    except (OSError, ValueError) as error:
        raise OgaError(f"{path} is damaged: {error}. Score the data again.") from None
    is_whole = isinstance(names, list) and len(names) == width and all(isinstance(name, str) for name in names)
    return tuple(names) if is_whole else ()


def placed(
    inputs: NDArray[np.float32], names: tuple[str, ...], labels: NDArray[np.int64], row: int, other: int
) -> list[Placed]:
    """Return the numbers of a row, the unusual ones first, each as far out as it lies.

    inputs: `(n_samples, n_inputs)`. labels: `(n_samples,)`, the given ones. other: the class beside it, -1 for none.
    """
    columns = [number for number, name in enumerate(names) if name]
    own = _class_rows(labels, int(labels[row]))
    beside = _class_rows(labels, other)
    found = []
    for number in columns:
        values = np.asarray(inputs[:, number], dtype=np.float64)
        low, high = np.quantile(values, ENDS)
        axis = (low, high if high > low else low + 1)
        rare = _rarity(values[own], values[row]) if own is not None else 1.0
        shown = Placed(
            names[number],
            _on(axis, values[row]),
            None if own is None else _quantiles(axis, values[own]),
            None if beside is None else _quantiles(axis, values[beside]),
            rare < RARE,
        )
        found.append((rare, shown))
    return [
        shown for _, shown in sorted(found, key=lambda pair: (not pair[1].unusual, pair[0] if pair[1].unusual else 0))
    ]


def _class_rows(labels: NDArray[np.int64], label: int) -> NDArray[np.int64] | None:
    rows = np.flatnonzero(labels == label) if label >= 0 else np.empty(0, dtype=np.int64)
    return rows if len(rows) >= FEWEST else None


def _rarity(values: Values, value: float) -> float:
    """Share of the values that lie at least as far out on the same side; ties count half."""
    equal = 0.5 * float((values == value).mean())
    return min(float((values < value).mean()), float((values > value).mean())) + equal


def _quantiles(axis: tuple[float, float], values: Values) -> tuple[float, ...]:
    return tuple(_on(axis, float(value)) for value in np.quantile(values, QUANTILES))


def _on(axis: tuple[float, float], value: float) -> float:
    low, high = axis
    return round(float(np.clip((value - low) / (high - low), 0, 1)), 4)
