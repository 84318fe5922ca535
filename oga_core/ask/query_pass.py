"""Gradients of samples that belong to no data set, in the form in which a pass has left those of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from oga_core.gradients.batches import pass_order, to_device
from oga_core.gradients.devices import choose_device
from oga_core.gradients.failures import StartAgain
from oga_core.gradients.hooks.forward_capture import survey
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import evaluating, first_batch, fits, new_pass
from oga_core.gradients.walk import BatchPass
from oga_core.samples import SampleSet
from oga_core.tasks.task import Batch, Task


class QueryPass:
    """Losses and gradients of single batches; the method is chosen once and checked on a few of `samples`.

    options: of the pass whose gradients they are compared with; equal options and names of parameters give the same
    random projection.
    """

    def __init__(self, task: Task, model: nn.Module, samples: SampleSet, options: PassOptions):
        self.task = task
        self.options = options
        self.device = choose_device(options.device)
        self.model = model.to(self.device)
        self._first = first_batch(task, samples, pass_order(task, samples), self.device)
        self._given_up: set[str] = set()
        self._pass = self._checked()

    def __call__(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of a batch by the names of `GradientSketch`; raises `OgaError` where the model fails."""
        batch = to_device(batch, self.device)
        while True:
            try:
                with evaluating(self.model), fits(batch):
                    return {name: value.cpu().numpy() for name, value in self._pass(batch).items()}
            except StartAgain:  # each time a method fewer is left, and the last one never asks for it
                self._pass = self._checked()

    def _checked(self) -> BatchPass:
        first = self._first
        with evaluating(self.model), fits(first):
            seen = survey(lambda: self.task.outputs(self.model, first), len(first["labels"]))
            return new_pass(self.task, self.model, self.options, seen, first, self.device, self._given_up)
