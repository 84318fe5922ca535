"""Numbers and several labels: heads and networks trained again, judged by the errors on what was held out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.retrain.arms import Arm
from oga_core.retrain.masks import ChosenMasks
from oga_core.retrain.training import (
    Recipe,
    choose_penalty,
    fit_head,
    head_logits,
    network_logits,
    network_losses,
    train_network,
)
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.losses import Loss, loss_of

if TYPE_CHECKING:
    from oga_core.runs.pixels import RunPixels

Errors = NDArray[np.float64]


def with_labels(
    samples: SampleSet, rows: NDArray[np.int64], labels: NDArray[np.generic], pixels: RunPixels | None = None
) -> SampleSet:
    """Return the samples at `rows` with other classes, numbers, flags or masks to train on.

    pixels: of the run, where the samples have masks.
    """
    some = samples.take(rows)
    if some.masks is not None and pixels is not None:
        return replace(some, masks=ChosenMasks(some.masks, labels.astype(np.int64), rows, pixels))
    if samples.targets is None:
        return replace(some, given_labels=labels.astype(np.int64))
    return replace(some, targets=labels.astype(np.float64))


def error_of(loss: Loss, outputs: Tensor, truth: Tensor) -> Errors:
    """The absolute error of numbers in the data's units, or the mean binary cross-entropy of the labels, `(n,)`."""
    if loss.target == "number":
        errors = (loss.in_data_units(outputs[:, 0]) - truth).abs()
    else:
        errors = F.binary_cross_entropy_with_logits(outputs, truth, reduction="none").mean(dim=1)
    return errors.double().numpy()


@dataclass(frozen=True, eq=False)
class HeadErrors:
    """Heads on frozen features, trained with the run's loss.

    features, targets: of the run's samples. judged: features and targets that judge, None where a held-out part does.
    """

    loss: Loss
    features: Tensor
    targets: Tensor
    penalty: float
    judged: tuple[Tensor, Tensor] | None

    @classmethod
    def of(
        cls,
        loss: Loss,
        features: Tensor,
        targets: Tensor,
        training: NDArray[np.int64],
        inner: NDArray[np.int64],
        judged: tuple[Tensor, Tensor] | None,
    ) -> HeadErrors:
        """Choose the penalty on `inner` positions of the training rows."""
        rows = torch.from_numpy(training)
        penalty = choose_penalty(features[rows], targets[rows], _width(targets), inner, partial(_mean, loss))
        return cls(loss, features, targets, penalty, judged)

    def __call__(self, arm: Arm, held_out: NDArray[np.int64]) -> Errors:
        """Train on an arm and return the error of everything that judges, `(n_judged,)`."""
        targets = torch.from_numpy(arm.labels.astype(np.float32))
        rows = torch.from_numpy(arm.rows)
        head = fit_head(self.features[rows], targets, _width(targets), self.penalty, loss=partial(_mean, self.loss))
        held = torch.from_numpy(held_out)
        features, truth = self.judged or (self.features[held], self.targets[held])
        return error_of(self.loss, head_logits(features, head), truth)


@dataclass(frozen=True, eq=False)
class NetworkErrors:
    """The whole network, trained with the loss that it was trained with before.

    judged: samples that judge, None where a held-out part does. progress: called with the rows of each step. pixels: of
    the run, where the samples have masks.
    """

    model: nn.Module
    task: Task
    samples: SampleSet
    recipe: Recipe
    device: torch.device
    judged: SampleSet | None
    progress: Callable[[int], object]
    pixels: RunPixels | None = None

    def __call__(self, arm: Arm, held_out: NDArray[np.int64], seed: int) -> Errors:
        """Train on an arm and return the error of everything that judges and can be read, `(n_readable,)`."""
        network = copy.deepcopy(self.model).to(self.device)
        training = with_labels(self.samples, arm.rows, arm.labels, self.pixels)
        train_network(network, self.task, training, self.recipe, seed=seed, device=self.device, progress=self.progress)
        judged = self.samples.take(held_out) if self.judged is None else self.judged
        loss = loss_of(self.task)
        if loss.own is not None or judged.targets is None:
            return network_losses(network, self.task, judged, device=self.device)
        outputs, rows = network_logits(network, self.task, judged, device=self.device)
        truth = torch.from_numpy(judged.targets[rows].astype(np.float32))
        return error_of(loss, torch.from_numpy(outputs), truth)


def _width(targets: Tensor) -> int:
    return 1 if targets.ndim == 1 else int(targets.shape[1])


def _mean(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    return loss(outputs, targets).mean()
