"""The samples of a pass as tensors, one batch ahead of the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.errors import OgaError, UntrainedSample
from oga_core.samples import Problem, SampleSet, UnreadableSample
from oga_core.tasks.task import Batch, Task

LARGEST_UNREADABLE_SHARE = 0.05
_AHEAD = 1


@dataclass(frozen=True)
class Loaded:
    """One batch: positions of the samples that could be read, their tensors (None where none could), and the rest."""

    rows: NDArray[np.int64]
    batch: Batch | None
    problems: dict[int, Problem]


def load(task: Task, samples: SampleSet, rows: NDArray[np.int64]) -> Loaded:
    """Make a batch; where a sample cannot be read, find out which and go on with the others."""
    try:
        return Loaded(rows, task.batch(samples, rows), {})
    except UnreadableSample:
        problems = {int(row): problem for row in rows if (problem := _problem(task, samples, int(row)))}
        readable = np.array([row for row in rows if int(row) not in problems], dtype=np.int64)
        return Loaded(readable, task.batch(samples, readable) if len(readable) else None, problems)


def _problem(task: Task, samples: SampleSet, row: int) -> Problem | None:
    try:
        task.batch(samples, np.array([row], dtype=np.int64))
    except UnreadableSample as error:
        untrained = isinstance(error, UntrainedSample)
        return Problem(str(samples.ids[row]), int(samples.row_numbers[row]), str(error), untrained)
    return None


def batches(task: Task, samples: SampleSet, parts: Sequence[NDArray[np.int64]]) -> Generator[Loaded, None, None]:
    """Yield the batches of `parts` in order; the next ones are decoded in a thread while one is worked on."""
    waiting: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as thread:
        try:
            for part in parts:
                waiting.append(thread.submit(load, task, samples, part))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def pass_order(task: Task, samples: SampleSet) -> NDArray[np.int64]:
    """Return the order in which the samples are worked on: by length where the task knows one, else the data's."""
    length = getattr(task, "length", None)
    if length is None:
        return np.arange(len(samples))
    lengths = np.array([_length(length, samples, row) for row in range(len(samples))])
    return np.argsort(-lengths, kind="stable")


def _length(length: object, samples: SampleSet, row: int) -> int:
    try:
        return int(length(samples, row))  # type: ignore[operator]
    except UnreadableSample:
        return 0


def stop_above_share(problems: dict[int, Problem], n_samples: int) -> None:
    """Raise `OgaError` when more than 5 % of the samples could not be read, or have no finite output.

    Rows that a trainer drops because nothing of them is trained on do not count, unless all are such rows.
    """
    faults = [problem for problem in problems.values() if not problem.untrained]
    some = "; ".join(f"{problem.sample_id}: {problem.reason}" for problem in (faults or [*problems.values()])[:3])
    if len(faults) > LARGEST_UNREADABLE_SHARE * n_samples:
        share = f"{LARGEST_UNREADABLE_SHARE:.0%}"
        raise OgaError(
            f"{len(faults)} of {n_samples} samples cannot be read or scored, more than {share} of the data "
            f"({some}). Check the files and the model card's input, then score again."
        )
    if problems and len(problems) == n_samples:
        raise OgaError(
            f"Of none of the {n_samples} rows anything is trained on ({some}). Choose what is trained on, or a larger "
            "max_length in the model card."
        )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
