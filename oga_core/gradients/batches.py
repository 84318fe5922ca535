"""The samples of a pass as tensors, a few batches ahead of the model."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.errors import OgaError, UntrainedSample
from oga_core.gradients.devices import LARGEST_BATCH
from oga_core.gradients.options import CHECKED_SAMPLES
from oga_core.numerics import evenly_spaced
from oga_core.samples import Problem, SampleSet, UnreadableSample
from oga_core.tasks.batches import first_rows
from oga_core.tasks.task import Batch, Task

Ready = Callable[[Batch], Batch]
POSITIONS = "positions.npy"
"""The file with the table of a part."""
LARGEST_UNREADABLE_SHARE = 0.05
DECODERS = 4
"""Threads that decode for a card, which is faster than one of them; each holds a batch of at most `LARGEST_BATCH`."""


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a pass, whose `number` begins at 1; written as 3/16."""

    number: int
    count: int

    @classmethod
    def named(cls, text: str) -> Shard:
        """Return the shard that a person wrote as `number/count`. Raises `OgaError` for what is none."""
        number, slash, count = text.partition("/")
        if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
            return cls(int(number), int(count))
        raise OgaError(
            f"The shard {text!r} is none. Give its number and how many there are, as 3/16; the first is 1/16."
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def places(self, n_samples: int, batch: int, *, spread: bool) -> NDArray[np.int64]:
        """Return the shard's places in the order of a pass, ascending: whole batches of `batch` samples.

        spread: every `count`-th batch, so that shards are alike where the longest samples come first; else a range.
        Raises `OgaError` where there are fewer batches than shards.
        """
        n_batches = -(-n_samples // batch)
        if n_batches < self.count:
            raise OgaError(
                f"{n_samples:,} samples are {n_batches:,} batch(es) of {batch:,}, too few for {self.count:,} shards, "
                f"which take whole batches. Use at most {n_batches:,} shard(s), or smaller batches (--batch-size).",
                {"batches": n_batches},
            )
        if spread:
            mine = np.arange(self.number - 1, n_batches, self.count)
        else:
            mine = np.arange((self.number - 1) * n_batches // self.count, self.number * n_batches // self.count)
        places = (mine[:, None] * batch + np.arange(batch)).ravel()
        return places[places < n_samples]


@dataclass(frozen=True, eq=False)
class Part:
    """The samples that one pass takes: all of the data, or those of a shard.

    order: positions of all samples in the order of the whole pass. places: those in it that this part takes, ascending.
    given_up: what other parts found not to hold for the model.
    """

    order: NDArray[np.int64]
    places: NDArray[np.int64]
    given_up: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        task: Task,
        samples: SampleSet,
        shard: Shard | None = None,
        batch_size: int | None = None,
        given_up: tuple[str, ...] = (),
    ) -> Part:
        """Return the part of a shard, or the whole. batch_size: as it was asked for; any that is chosen fits."""
        order = pass_order(task, samples)
        if shard is None:
            return cls(order, np.arange(len(order)))
        spread = getattr(task, "length", None) is not None
        return cls(order, shard.places(len(order), batch_size or LARGEST_BATCH, spread=spread), given_up)

    @property
    def is_whole(self) -> bool:
        return len(self.places) == len(self.order)

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """Positions of the part's samples among all, ascending, `(n_samples,)`."""
        return np.sort(self.order[self.places])

    @property
    def own_order(self) -> NDArray[np.int64]:
        """The order of the pass, as positions among the part's samples, `(n_samples,)`."""
        return np.searchsorted(self.positions, self.order[self.places])

    def fingerprint(self, whole: str) -> str:
        """Return what changes with the pass, whose fingerprint is `whole`, and with what this part takes of it."""
        if self.is_whole:
            return whole
        identity = repr((whole, self.given_up)).encode() + self.places.tobytes()
        return hashlib.blake2b(identity, digest_size=16).hexdigest()

    @property
    def table(self) -> NDArray[np.int64]:
        """Of each of the part's samples its position among all and its place in the whole order, `(n_samples, 2)`."""
        places = np.empty_like(self.places)
        places[self.own_order] = self.places
        return np.stack([self.positions, places], axis=1)


@dataclass(frozen=True)
class Loaded:
    """One batch: positions of the samples that could be read, their tensors (None where none could), and the rest."""

    rows: NDArray[np.int64]
    batch: Batch | None
    problems: dict[int, Problem]


def load(task: Task, samples: SampleSet, rows: NDArray[np.int64], ready: Ready = lambda batch: batch) -> Loaded:
    """Make a batch; where a sample cannot be read, find out which and go on with the others."""
    try:
        return Loaded(rows, ready(task.batch(samples, rows)), {})
    except UnreadableSample:
        problems = {int(row): problem for row in rows if (problem := _problem(task, samples, int(row)))}
        readable = np.array([row for row in rows if int(row) not in problems], dtype=np.int64)
        return Loaded(readable, ready(task.batch(samples, readable)) if len(readable) else None, problems)


def _problem(task: Task, samples: SampleSet, row: int) -> Problem | None:
    try:
        task.batch(samples, np.array([row], dtype=np.int64))
    except UnreadableSample as error:
        untrained = isinstance(error, UntrainedSample)
        return Problem(str(samples.ids[row]), int(samples.row_numbers[row]), str(error), untrained)
    return None


def decoders_for(task: Task, device: torch.device) -> int:
    """How many threads decode at once: one beside a CPU, whose cores the model uses, and where a task needs order."""
    return DECODERS if device.type != "cpu" and getattr(task, "decodes_at_once", False) else 1


def batches(
    task: Task,
    samples: SampleSet,
    parts: Sequence[NDArray[np.int64]],
    decoders: int = 1,
    ready: Ready = lambda batch: batch,
) -> Generator[Loaded, None, None]:
    """Yield the batches of `parts` in order; the next ones are decoded in threads while one is worked on.

    decoders: how many at once; no more than as many wait, beside the one that is worked on. They are threads because
    the worker's jail lets no process start. ready: makes a batch ready for the device, in the same threads.
    """
    waiting: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(decoders, thread_name_prefix="decode") as threads:
        try:
            for part in parts:
                waiting.append(threads.submit(load, task, samples, part, ready))
                if len(waiting) > decoders:
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


def first_batch(task: Task, samples: SampleSet, order: NDArray[np.int64], device: torch.device) -> Batch:
    """A few readable samples spread over the order, the longest among them where length matters."""
    batch = None
    for count in (CHECKED_SAMPLES, 16 * CHECKED_SAMPLES):
        rows = evenly_spaced(order, count)
        loaded = load(task, samples, rows)
        batch = loaded.batch or batch
        if batch is not None and len(loaded.rows) >= min(CHECKED_SAMPLES, len(order)):
            break
    if batch is None:
        raise OgaError("No sample of the data can be read. Check the files and the model card's input.")
    return to_device(first_rows(batch, min(CHECKED_SAMPLES, len(batch["labels"]))), device)


def shorter_half(task: Task, samples: SampleSet, order: NDArray[np.int64], device: torch.device) -> Batch | None:
    """The same of the shorter half of samples that have lengths, of which a check costs half as much; else None.

    order: of the pass, the longest first.
    """
    half = order[len(order) // 2 :]
    if getattr(task, "length", None) is None or len(half) < CHECKED_SAMPLES:
        return None
    try:
        return first_batch(task, samples, half, device)
    except OgaError:  # none of these can be read
        return None
