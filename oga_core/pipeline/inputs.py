"""The rows of a table as the model is given them, kept beside the gradients for the scores that look at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oga_core.files import write_whole
from oga_core.numerics import Array, slices
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.tabular import TabularTask

NAME = "inputs.npy"
MOST_ENTRIES = 50_000_000
"""200 MB; larger tables are scored without."""


def write_inputs(task: Task, samples: SampleSet, folder: Path) -> None:
    """Write `(n_samples, n_inputs)` into `folder` where the samples are rows of a table, and nothing where not."""
    path = folder / NAME
    path.unlink(missing_ok=True)  # of an earlier run in the same folder
    if not isinstance(task, TabularTask) or not len(samples):
        return
    width = task.batch(samples, np.arange(1))["values"].shape[1]
    if len(samples) * width > MOST_ENTRIES:
        return
    inputs = np.empty((len(samples), width), dtype=np.float32)
    for part in slices(len(samples)):
        inputs[part] = task.batch(samples, np.arange(len(samples))[part])["values"].numpy()
    write_whole(path, lambda temporary: _save(inputs, temporary))


def _save(inputs: Array, path: Path) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to a temporary name
        np.save(file, inputs, allow_pickle=False)
