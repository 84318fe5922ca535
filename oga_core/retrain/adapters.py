"""A language model's adapters trained again, from the same start in the same order, on all of its rows or some."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from oga_core.retrain.training import Recipe, network_losses, train_network
from oga_core.samples import SampleSet
from oga_core.tasks import Task

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AdapterTraining:
    """New adapters on the base, or the model itself where it has none. progress: called with the rows of each step."""

    model: nn.Module
    task: Task
    samples: SampleSet
    recipe: Recipe
    device: torch.device
    has_adapters: bool
    progress: Callable[[int], object]

    def trained(self, seed: int, rows: Rows | None = None, *, without: Rows | None = None) -> nn.Module:
        """The model after training on `rows`, all by default.

        without: rows whose loss counts for nothing, while order and steps stay as they were with them.
        """
        network = copy.deepcopy(self.model).to(self.device)
        samples = self.samples if rows is None else self.samples.take(rows)
        train_network(
            network,
            self.task,
            samples,
            self.recipe,
            seed=seed,
            device=self.device,
            without=without,
            progress=self.progress,
        )
        return network

    def losses(self, network: nn.Module, samples: SampleSet) -> NDArray[np.float64]:
        """Mean loss of each response that can be read, `(n_readable,)`."""
        return network_losses(network, self.task, samples, device=self.device)

    @property
    def described(self) -> dict[str, Any]:
        """How it is trained, for the record."""
        return {**self.recipe.described, **({"start": "new adapters"} if self.has_adapters else {})}
