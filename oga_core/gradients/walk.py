"""The walk over the data: batch after batch through a pass, recorded as it goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oga_core.gradients.arrays import PassArrays
from oga_core.gradients.batches import Loaded, batches, decoders_for, stop_above_share, to_device
from oga_core.gradients.cards.transfers import Transfers, Wait, in_turn, transfers_for
from oga_core.gradients.devices import release_memory
from oga_core.gradients.failures import NOT_FINITE, OutOfMemory, StartAgain, model_runs, not_enough_memory
from oga_core.gradients.precision import Precision
from oga_core.samples import Problem, SampleSet
from oga_core.tasks.looks import looks
from oga_core.tasks.task import Batch, Task
from oga_core.tasks.thumbnails import thumbnails
from oga_core.worker.stages import Progress

SECONDS_BETWEEN_RECORDS = 5.0


class BatchPass(Protocol):
    """Computes the arrays of one batch, by the names of `GradientSketch`."""

    notes: list[str]
    given_up: set[str]
    coverage: float
    check_error: float
    precision_error: float
    precision: Precision

    def __call__(self, batch: Batch) -> dict[str, Tensor]: ...


@dataclass
class Walk:
    """All samples in `order` through a pass, from where an earlier walk stopped.

    make_pass: returns a pass that is checked, without what was `given_up`; called again where a pass must start again.
    with_thumbnails: keep those of images, and their looks, too. n_data: samples of all the data, of which these may be
        a part.
    """

    make_pass: Callable[[set[str]], BatchPass]
    task: Task
    samples: SampleSet
    order: NDArray[np.int64]
    arrays: PassArrays
    device: torch.device
    progress: Progress
    with_thumbnails: bool = False
    n_data: int = 0

    def __call__(self) -> BatchPass:
        """Go to the end; return the pass that was used."""
        arrays = self.arrays
        given_up = set(arrays.given_up)
        while True:
            try:
                batch_pass = self.make_pass(given_up)
                while arrays.done < len(self.order):
                    self._go_as_far_as_fits(batch_pass)
                return batch_pass
            except StartAgain:
                arrays.start_again(given_up)
            except BaseException:  # whoever goes on later finds what is done
                arrays.record(arrays.done)
                raise

    def _go_as_far_as_fits(self, batch_pass: BatchPass) -> None:
        """Go on to the end, or until a batch does not fit into memory; from there on batches are smaller."""
        try:
            self._go(batch_pass)
            return
        except OutOfMemory:
            self.arrays.batch_size //= 2  # of one sample it would be another error
        release_memory(self.device)  # now that the error holds nothing any more

    def _go(self, batch_pass: BatchPass) -> None:
        arrays = self.arrays
        order = self.order
        started_at = arrays.done
        start = recorded = time.perf_counter()
        decoders = decoders_for(self.task, self.device)
        parts = [order[i : i + arrays.batch_size] for i in range(started_at, len(order), arrays.batch_size)]
        if not arrays.arrays:
            arrays.write(np.arange(len(order)), _labels(self.samples))
        transfers = transfers_for(self.device)

        def begin(loaded: Loaded) -> Wait | None:
            return self._begun(batch_pass, loaded, transfers)

        with contextlib.closing(batches(self.task, self.samples, parts, decoders, transfers.ready)) as loaded_parts:
            begun = in_turn(loaded_parts, begin, behind=transfers.behind)
            for part, (loaded, wait) in zip(parts, begun, strict=True):
                self._take(loaded, wait)
                arrays.done += len(part)
                now = time.perf_counter()
                if now - recorded > SECONDS_BETWEEN_RECORDS:
                    arrays.record(arrays.done)
                    recorded = now
                left = (now - start) / (arrays.done - started_at) * (len(order) - arrays.done)
                state = {"stage": "gradients", "done": arrays.done, "total": len(order)}
                self.progress({**state, "seconds_left": round(left, 1)})

    def _begun(self, batch_pass: BatchPass, loaded: Loaded, transfers: Transfers) -> Wait | None:
        """Begin the work on one batch; return what waits for its arrays, None where no sample could be read."""
        if loaded.batch is None:
            return None
        with _fits(loaded.batch):
            return transfers.fetch(batch_pass(to_device(loaded.batch, self.device)))

    def _take(self, loaded: Loaded, wait: Wait | None) -> None:
        """Write the arrays of one batch, and note what is wrong with its samples."""
        if loaded.batch is None or wait is None:
            self._note_problems(loaded.problems)
            return
        with _fits(loaded.batch):
            values = wait()
        if self.with_thumbnails:
            seen = thumbnails(loaded.batch) | looks(loaded.batch)
            values |= {name: value.numpy() for name, value in seen.items()}
        finite = _finite_rows(values)
        not_finite = {int(row): self._not_finite(int(row)) for row in loaded.rows[~finite]}
        self._note_problems({**loaded.problems, **not_finite})
        if finite.all():
            self.arrays.write(loaded.rows, values)
        elif finite.any():
            self.arrays.write(loaded.rows[finite], {name: value[finite] for name, value in values.items()})

    def _note_problems(self, problems: Mapping[int, Problem]) -> None:
        if problems:
            stop_above_share({**self.arrays.problems, **problems}, max(self.n_data, len(self.samples)))
        self.arrays.problems.update(problems)

    def _not_finite(self, row: int) -> Problem:
        return Problem(str(self.samples.ids[row]), int(self.samples.row_numbers[row]), NOT_FINITE)


@contextlib.contextmanager
def _fits(batch: Batch) -> Iterator[None]:
    """Raise `OutOfMemory` where a batch does not fit into memory, `OgaError` where no smaller one is left to try."""
    try:
        with model_runs(batch):
            yield
    except OutOfMemory:
        if len(batch["labels"]) > 1:
            raise
        raise not_enough_memory(batch) from None


def _labels(samples: SampleSet) -> dict[str, NDArray[np.generic]]:
    labels: dict[str, NDArray[np.generic]] = {"given_labels": samples.given_labels}
    if samples.targets is None:
        return labels
    arrays = {"number": "targets", "labels": "given_flags"}  # a vector speaks through the loss alone
    return {**labels, **({arrays[samples.target]: samples.targets} if samples.target in arrays else {})}


def _finite_rows(values: Mapping[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Whether all that was computed of a sample is finite, `(batch,)`; of a whole gradient its sketch tells."""
    parts = [value for name, value in values.items() if name != "gradients"]
    rows = [np.isfinite(value.reshape(len(value), -1)).all(axis=1) for value in parts]
    result: NDArray[np.bool_] = np.logical_and.reduce(rows)
    return result
