"""Rows of a table: a class, a number or several labels each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import logits_of
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.losses import PLAIN, Loss, labels_at
from oga_core.tasks.task import Batch


@dataclass(frozen=True)
class TabularTask:
    """Columns to numbers: one-hot where the card lists categories, else (value - mean) / std, `(batch, n_inputs)`.

    inputs: the columns of each input by its name, of a model with several; together they are `features`. An input of
    categories alone is given to the model as their positions in the card's lists, as an embedding takes them.
    """

    features: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    categories: Mapping[str, Sequence[str]]
    loss: Loss = PLAIN
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_card(cls, card: ModelCard) -> TabularTask:
        """Read features, mean (0), std (1) and categories ({}) from the card; mean and std are for numeric columns."""
        inputs = _inputs(card.input.get("features"))
        features = tuple(name for columns in inputs.values() for name in columns)
        categories = card.input.get("categories", {})
        if not isinstance(categories, dict) or not set(categories) <= set(features):
            raise OgaError("'categories' in the model card must map some of 'features' to lists of values.")
        categories = {column: [str(value) for value in values] for column, values in categories.items()}
        numeric = [name for name in features if name not in categories]
        mean, std = (
            _numbers(card.input.get(key, default), key, len(numeric)) for key, default in (("mean", 0.0), ("std", 1.0))
        )
        if not (std > 0).all():
            raise OgaError("'std' in the model card must be above 0 for every feature.")
        named = {} if "" in inputs else inputs
        return cls(features, mean, std, categories, Loss.from_card(card), named)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Encode the rows."""
        return {"values": self.encoded([samples.inputs[int(row)] for row in rows]), "labels": labels_at(samples, rows)}

    def encoded(self, rows: Sequence[Mapping[str, Any]]) -> Tensor:
        """The columns of some rows as numbers, `(n_rows, n_inputs)`."""
        return torch.from_numpy(np.array([self._encode(row) for row in rows], dtype=np.float32))

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits `(batch, n_classes)`, or one number a sample, `(batch, 1)`."""
        values = batch["values"]
        answer = model(**self.named(values)) if self.inputs else model(values)
        return self.loss.columns(logits_of(answer))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The card's loss on the given labels, `(batch,)`."""
        return self.loss(outputs, batch["labels"])

    def views(self, batch: Batch) -> list[Batch]:
        """None: a table row has no views that keep its meaning."""
        return []

    def input_names(self) -> list[str]:
        """The column of each input that is a number, empty for each of a category's."""
        names: list[str] = []
        for name in self.features:
            names += [""] * self._width(name) if name in self.categories else [name]
        return names

    def named(self, values: Tensor) -> dict[str, Tensor]:
        """The model's inputs by name."""
        widths = [self._width(name) for name in self.features]
        parts = iter(values.split(widths, dim=-1))
        named = {}
        for name, columns in self.inputs.items():
            own = [next(parts) for _ in columns]
            coded = self._is_coded(columns)
            named[name] = torch.stack([part.argmax(-1) for part in own], -1) if coded else torch.cat(own, -1)
        return named

    def _width(self, name: str) -> int:
        return len(self.categories[name]) if name in self.categories else 1

    def _is_coded(self, columns: Sequence[str]) -> bool:
        return set(columns) <= set(self.categories)

    @cached_property
    def _coded(self) -> frozenset[str]:
        """Columns whose values the model takes as positions, so that there is none for another value."""
        return frozenset(name for columns in self.inputs.values() if self._is_coded(columns) for name in columns)

    def _encode(self, columns: Mapping[str, Any]) -> list[float]:
        encoded: list[float] = []
        position = 0
        for name in self.features:
            if name not in columns:
                raise OgaError(
                    f"The data has no column {name!r}, which the model card lists in 'features'. "
                    f"It has: {', '.join(columns)}."
                )
            if name in self._coded and str(columns[name]) not in self.categories[name]:
                raise UnreadableSample(f"column {name!r} holds {columns[name]!r}, which is none of its categories")
            if name in self.categories:
                encoded += [float(str(columns[name]) == value) for value in self.categories[name]]
            else:
                encoded.append((_number(columns[name], name) - float(self.mean[position])) / float(self.std[position]))
                position += 1
        return encoded


def _inputs(features: Any) -> dict[str, tuple[str, ...]]:
    """The columns of each input; of a card with one list, of the one input, whose name is empty."""
    inputs = features if isinstance(features, dict) else {"": features}
    for columns in inputs.values():
        if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
            raise OgaError(
                "'features' in the model card must list the columns in the order of the model's inputs, or map the "
                f"name of each input to its list, got {features!r}."
            )
    if not inputs:
        raise OgaError("'features' in the model card names no input. Map the name of each to its list of columns.")
    return {str(name): tuple(columns) for name, columns in inputs.items()}


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UnreadableSample(f"column {column!r} holds {value!r}, which is not a number") from None
    if not math.isfinite(number):
        raise UnreadableSample(f"column {column!r} holds {value!r}, which is not a finite number")
    return number


def _numbers(value: Any, name: str, count: int) -> NDArray[np.float32]:
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float32), (count,)).copy()
    except (TypeError, ValueError):
        raise OgaError(
            f"{name!r} in the model card must be {count} number(s), one a numeric feature, got {value!r}."
        ) from None
