"""A whole run through an executor: all shards at work, and their progress in one line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import replace
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.files import full_path
from oga_core.gradients.batches import Shard
from oga_core.pipeline.options import ScoreOptions
from oga_core.shards.agreement import check_counts, shards_behind
from oga_core.shards.executor import PROGRESS, Executor, ShardWork
from oga_core.shards.marker import markers, shard_folder
from oga_core.worker.stages import Progress

SHARDS_A_WORKER = 4
"""So that workers end at about the same time, and a lost one costs a quarter of what it did."""
_POLL_SECONDS = 0.5


def take_shards(
    data: Path | str,
    model: Path | str | None,
    run_path: Path | str,
    options: ScoreOptions,
    executor: Callable[[ShardWork], Executor],
    progress: Progress = lambda event: None,
    *,
    workers: int,
    count: int | None = None,
) -> None:
    """Take the passes of all shards by an executor; `merge` then makes them a run.

    Shards that are done already are not done again. count: of shards; None for four a worker, or as many as there are
    batches. Raises `OgaError` for anything that the person can correct; what is done by then stays.
    """
    run = full_path(Path(run_path).absolute())
    model_path = full_path(model) if model else None
    work = ShardWork(full_path(data), model_path, run, options, count or SHARDS_A_WORKER * workers)
    try:
        _take_passes(work, executor, progress)
    except OgaError as error:
        if count is not None or "batches" not in error.detail:
            raise
        _take_passes(replace(work, count=error.detail["batches"]), executor, progress)


def _take_passes(work: ShardWork, make: Callable[[ShardWork], Executor], progress: Progress) -> None:
    check_counts(Path(work.run), work.count)
    executor = make(work)
    try:
        ranks: Iterable[int] = range(work.count)
        while ranks:  # again where a shard found that gradients must be computed in another way
            _await({rank: executor.submit(rank) for rank in ranks}, work, progress)
            ranks = [number - 1 for number in shards_behind(markers(Path(work.run)))]
    finally:
        executor.close()


def _await(futures: dict[int, Future[str]], work: ShardWork, progress: Progress) -> None:
    start = time.monotonic()
    line = ProgressOfAll(work, list(futures))
    last: dict[str, object] = {}
    while True:
        ready, waiting = wait(futures.values(), _POLL_SECONDS, FIRST_EXCEPTION)
        for future in ready:
            future.result()
        finished = {rank for rank, future in futures.items() if future.done()}
        event = line.event(finished, time.monotonic() - start)
        if event.keys() - last.keys() or any(event[name] != last[name] for name in ("stage", "done") if name in event):
            progress(event)
        last = event
        if not waiting:
            return


class ProgressOfAll:
    """How far all shards are, from the files that they write."""

    def __init__(self, work: ShardWork, ranks: list[int]):
        self.folders = {rank: shard_folder(Path(work.run), Shard(rank + 1, work.count)) for rank in ranks}
        self.totals: dict[int, int] = {}
        self.done: dict[int, int] = {}

    def event(self, finished: set[int], seconds: float) -> dict[str, object]:
        """Return one event for all; samples of shards that have not begun are guessed from the others."""
        for rank, folder in self.folders.items():
            if rank in finished:
                self.done[rank] = self.totals.get(rank, 0)
            else:
                self._read(rank, folder)
        event: dict[str, object] = {"stage": f"gradients, {len(finished)} of {len(self.folders)} shards done"}
        done = sum(self.done.values())
        if done and self.totals:
            total = round(sum(self.totals.values()) / len(self.totals) * len(self.folders))
            left = seconds * (total - done) / done
            event |= {"done": done, "total": total, "seconds_left": round(left, 1)}
        return event

    def _read(self, rank: int, folder: Path) -> None:
        try:
            content = json.loads((folder / PROGRESS).read_bytes())
            if content.get("stage") == "gradients":
                self.totals[rank] = int(content["total"])
                self.done[rank] = int(content["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return
