"""What the samples themselves look like, kept beside the gradients: rows of tables, signatures of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.numerics import slices
from oga_core.pipeline.signatures import signatures
from oga_core.runs.columns import NAMES
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.tabular import TabularTask
from oga_core.tasks.text import TextTask

ROWS = "inputs.npy"
SIGNATURES = "signatures.npy"
MOST_ENTRIES = 50_000_000
"""200 MB; larger tables are scored without."""


def write_inputs(task: Task, samples: SampleSet, folder: Path, *, n_data: int = 0) -> None:
    """Write into `folder` the rows of a table `(n_samples, n_inputs)` or signatures of texts, `(n_samples, 128)`.

    n_data: samples of all the data, where these are a shard of them.
    """
    for name in (ROWS, SIGNATURES, NAMES):
        (folder / name).unlink(missing_ok=True)  # of an earlier run in the same folder
    if isinstance(task, TabularTask) and len(samples):
        _write_rows(task, samples, folder / ROWS, max(n_data, len(samples)))
    elif isinstance(task, TextTask):
        _write(signatures(samples.inputs), folder / SIGNATURES)


def _write_rows(task: TabularTask, samples: SampleSet, path: Path, n_data: int) -> None:
    width = task.batch(samples, np.arange(1))["values"].shape[1]
    if n_data * width > MOST_ENTRIES:
        return
    inputs = np.empty((len(samples), width), dtype=np.float32)
    for part in slices(len(samples)):
        inputs[part] = task.batch(samples, np.arange(len(samples))[part])["values"].numpy()
    _write(inputs, path)
    names = json.dumps(task.input_names(), ensure_ascii=False)
    write_whole(path.with_name(NAMES), lambda temporary: temporary.write_text(names, encoding="utf-8"))


def _write(array: NDArray[Any], path: Path) -> None:
    write_whole(path, lambda temporary: _save(array, temporary))


def _save(array: NDArray[Any], path: Path) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to a temporary name
        np.save(file, array, allow_pickle=False)
