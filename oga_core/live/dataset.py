"""A data set of the caller's as a sequence of items, whatever it came as: Dataset, DataLoader, DataFrame or arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, default_collate

from oga_core.errors import OgaError
from oga_core.tasks.task import Batch

LABEL_NAMES = ("labels", "label", "target", "targets", "y")
"""What a label is called in an item that is a mapping, by Hugging Face's and torchvision's conventions."""
_PROBES = 8  # items on which a column of labels must agree with the items themselves


@dataclass(frozen=True, eq=False)
class LiveData:
    """Items `(inputs…, label)` or mappings with a label among them, and how some of them become a batch.

    items: indexable, with a length. collate: from a list of items to tensors in the items' structure, as the
        `collate_fn` of a DataLoader.
    label_column: the labels of all items where the data set keeps them apart, so that no item is read for its label.
    """

    items: Any
    collate: Callable[[list[Any]], Any] = default_collate
    label_column: Any = None
    class_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Any, collate: Callable[[list[Any]], Any] | None = None, label: str | None = None) -> LiveData:
        """Take what the caller has: a map-style Dataset, a DataLoader, a DataFrame, a pair (X, y) or a list of items.

        label: the name of the label's column in a DataFrame. Raises `OgaError` for anything else.
        """
        if isinstance(data, DataLoader):
            return cls.of(data.dataset, collate or data.collate_fn, label)
        collate = collate or default_collate
        if isinstance(data, pd.DataFrame):
            return cls._of_frame(data, label)
        if isinstance(data, tuple) and len(data) == 2 and all(hasattr(part, "shape") for part in data):
            inputs, labels = (torch.tensor(np.asarray(part)) for part in data)
            data = TensorDataset(inputs, labels)
        if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
            return cls(data, collate, _label_column(data), _class_names(data))
        if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
            return cls(list(data), collate)
        raise OgaError(
            f"dataset is {type(data).__name__!r}. Give a Dataset with a length, a DataLoader, a DataFrame, a pair "
            "(X, y) or a list of (input, label)."
        )

    @classmethod
    def _of_frame(cls, frame: pd.DataFrame, label: str | None) -> LiveData:
        column = label or next((str(name) for name in frame.columns if str(name).casefold() in LABEL_NAMES), None)
        if column is None or column not in frame.columns:
            raise OgaError(f"The DataFrame has no column {label or 'label'!r}. Name it with label_column=….")
        inputs = frame.drop(columns=column)
        strange = [str(name) for name in inputs.columns if not pd.api.types.is_numeric_dtype(inputs[name])]
        if strange:
            raise OgaError(f"The columns {', '.join(strange)} are not numbers. Encode them as the model expects them.")
        names, codes = np.unique(frame[column].astype(str), return_inverse=True)
        values = torch.tensor(inputs.to_numpy(dtype=np.float32))
        return cls(TensorDataset(values, torch.as_tensor(codes)), default_collate, codes, tuple(names.tolist()))

    def __len__(self) -> int:
        return len(self.items)

    def label(self, i: int) -> Any:
        """Return the label of one item, None where it has none."""
        return parted(self.items[i])[1]

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """The labels of all items, `(n_samples, …)`; None where an item has none."""
        column = self.label_column
        if column is not None and len(column) == len(self):
            probes = np.linspace(0, len(self) - 1, min(_PROBES, len(self))).astype(np.int64)
            if all(_equal(column[int(i)], self.label(int(i))) for i in probes):
                return np.asarray(column)
        labels = [self.label(i) for i in range(len(self))]
        if any(label is None for label in labels):
            return None
        try:
            return np.array([np.asarray(label) for label in labels])
        except ValueError:  # of different lengths, as the tokens of texts
            return None

    def batch(self, rows: Iterable[int]) -> Batch:
        """Return the items at `rows` as named tensors: `input_0` … or their own names, and `labels`."""
        inputs, labels = parted(self.collate([self.items[int(row)] for row in rows]))
        batch = {name: value for name, value in named(inputs).items() if isinstance(value, Tensor)}
        if not batch or not isinstance(labels, Tensor):
            raise OgaError(
                "The items of the dataset do not become tensors (inputs…, label). Give a DataLoader whose collate_fn "
                "returns what the model takes, and the label last or named 'labels'."
            )
        return {**batch, "labels": labels}


def parted(item: Any) -> tuple[Any, Any]:
    """Part an item or a collated batch into inputs and label, None without a label."""
    if isinstance(item, Mapping):
        name = next((name for name in LABEL_NAMES if name in item), None)
        return {key: value for key, value in item.items() if key != name}, item[name] if name else None
    if isinstance(item, (tuple, list)) and len(item) >= 2:
        return (item[0] if len(item) == 2 else tuple(item[:-1])), item[-1]
    return item, None


def named(inputs: Any) -> dict[str, Any]:
    """Return inputs by name; positional ones are `input_0`, `input_1` …."""
    if isinstance(inputs, Mapping):
        return {str(name): value for name, value in inputs.items()}
    values = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    return {f"input_{position}": value for position, value in enumerate(values)}


def _label_column(data: Any) -> Any:
    if isinstance(data, TensorDataset):
        return data.tensors[-1].numpy()
    columns = getattr(data, "column_names", None)
    if isinstance(columns, list):  # a Hugging Face data set
        name = next((name for name in LABEL_NAMES if name in columns), None)
        return data[name] if name else None
    values = next((getattr(data, name) for name in ("targets", "labels") if hasattr(data, name)), None)
    return values if hasattr(values, "__len__") else None


def _class_names(data: Any) -> tuple[str, ...]:
    features = getattr(data, "features", None)
    if isinstance(features, Mapping):
        feature = next((features[name] for name in LABEL_NAMES if name in features), None)
        return tuple(map(str, getattr(feature, "names", ()) or ()))
    classes = getattr(data, "classes", ())
    return tuple(map(str, classes)) if isinstance(classes, (list, tuple)) else ()


def _equal(one: Any, other: Any) -> bool:
    return other is not None and bool(np.array_equal(np.asarray(one), np.asarray(other)))
