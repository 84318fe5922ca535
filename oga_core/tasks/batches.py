"""Parts of a batch: tensors whose first axis is the samples are cut, all others stay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def n_samples(batch: Mapping[str, Tensor]) -> int:
    """Number of samples of a batch."""
    return len(batch["labels"])


def per_sample_parts(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a batch whose first axis is the samples."""
    n = n_samples(batch)
    return {
        name: value for name, value in batch.items() if isinstance(value, Tensor) and value.ndim and len(value) == n
    }


def one_sample(batch: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    """Return a batch of one, padded as it was among the others."""
    return {**batch, **{name: value[row : row + 1] for name, value in per_sample_parts(batch).items()}}


def first_rows(batch: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """The first `n` samples of a batch, from the start again where it has fewer."""
    return rows_of(batch, torch.arange(n, device=batch["labels"].device) % n_samples(batch))


def rows_of(batch: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Return the batch of the samples at `rows`, padded as they were among the others."""
    return {**batch, **{name: value[rows] for name, value in per_sample_parts(batch).items()}}
