"""Mirrored influence with the whole model, as its authors compute it: one step up the loss of a query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from oga_core.live.losses import BATCH_SIZE, LiveLosses
from oga_core.numerics import Array

LEARNING_RATE = 5e-3
"""Of the one step, as in the authors' code."""


def mirrored_influence(
    model: nn.Module,
    dataset: Any,
    queries: Any,
    *,
    loss: Any = F.cross_entropy,
    learning_rate: float = LEARNING_RATE,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Array:
    """Return how much every training loss changes when the model unlearns a query: |l_i(θ') - l_i(θ)|.

    `(n_queries, n_samples)`, 0 or more. θ' is the whole model after one step of Adam that raises the loss of that query
    alone. dataset, queries: as in `per_sample_gradients`, the data trained on and the samples asked about. The model
    stays as it is. Ko et al., CVPR 2024, arXiv 2402.08922.
    """
    losses = LiveLosses.of(model, dataset, loss, collate_fn, batch_size)
    asked = LiveLosses.of(model, queries, loss, collate_fn, batch_size)
    before = losses.values()
    changes = np.empty((len(asked), len(losses)), dtype=np.float32)
    for query in range(len(asked)):
        moved = asked.copied()
        optimizer = torch.optim.Adam(moved.parameters, lr=learning_rate, maximize=True)
        moved.at([query]).sum().backward()
        optimizer.step()
        changes[query] = np.abs(losses.under(moved.model).values() - before)
    return changes
