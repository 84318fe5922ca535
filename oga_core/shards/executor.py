"""Where the shards of a run are worked on: one method, the rank of a shard in and its marker out."""

from __future__ import annotations

import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from oga_core.files import write_whole
from oga_core.gradients.batches import Shard
from oga_core.pipeline.options import ScoreOptions
from oga_core.shards.marker import shard_folder

PROGRESS = "progress.json"
_SECONDS_BETWEEN_WRITES = 1.0  # of a shard's progress, for whoever waits for all


@dataclass(frozen=True)
class ShardWork:
    """What every shard of a run needs to know: full paths, options, and how many shards there are."""

    data: str
    model: str | None
    run: str
    options: ScoreOptions
    count: int

    def __call__(self, rank: int, cancelled: Callable[[], bool] = lambda: False, threads: int | None = None) -> str:
        """Take the pass of the shard with this rank, from 0; return the path of its marker."""
        from oga_core.shards.scoring import score_shard  # who waits for the shards needs no models and scores

        shard = Shard(rank + 1, self.count)
        progress = _ProgressFile(shard_folder(Path(self.run), shard) / PROGRESS)
        return str(
            score_shard(self.data, self.model, self.run, self.options, shard, progress, cancelled, threads=threads)
        )

    def on(self, device: str) -> ShardWork:
        """Return the same work on another device."""
        return replace(self, options=replace(self.options, device=device))


class Executor(ABC):
    """Takes the passes of shards somewhere; `close` ends what is still at work."""

    def __init__(self, work: ShardWork):
        self.work = work
        self.closed = threading.Event()

    @abstractmethod
    def submit(self, rank: int) -> Future[str]:
        """Start the shard of this rank, from 0; the future has the path of its marker, or what went wrong."""

    def close(self) -> None:
        """Stop."""
        self.closed.set()


class LocalExecutor(Executor):
    """A few workers on this machine, which share its cores evenly and take turns on its cards.

    devices: names of the cards, `cuda:0` and so on; none for the device of the options, which all workers use.
    """

    def __init__(self, work: ShardWork, workers: int, devices: Sequence[str] = ()):
        super().__init__(work)
        self.threads = max(1, (os.cpu_count() or 1) // workers)
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="shard")  # a thread waits for a worker process
        self.free: SimpleQueue[str] = SimpleQueue()
        for place in range(workers):
            self.free.put(devices[place % len(devices)] if devices else work.options.device)

    def submit(self, rank: int) -> Future[str]:
        return self.pool.submit(self._take, rank)

    def _take(self, rank: int) -> str:
        device = self.free.get()
        try:
            return self.work.on(device)(rank, self.closed.is_set, self.threads)
        finally:
            self.free.put(device)

    def close(self) -> None:
        super().close()
        self.pool.shutdown(cancel_futures=True)


class _ProgressFile:
    """Writes what a shard says into a file beside its results, about once a second."""

    def __init__(self, path: Path):
        self.path = path
        self.written = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self.written < _SECONDS_BETWEEN_WRITES or "done" not in event:
            return
        self.written = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, lambda path: path.write_text(json.dumps(event)))
