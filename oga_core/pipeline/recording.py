"""What run.json says of the work itself: that it began, how long it took, and how it ended."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.files import disk_error, full_path
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder


class Recorded:
    """While it is open, whatever ends the work on a run is written into its run.json before it is raised."""

    def __init__(self, run: RunFolder, cancelled: Callable[[], bool] = lambda: False):
        self.run = run
        self.cancelled = cancelled

    def __enter__(self) -> RunFolder:
        return self.run

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        shown = disk_error(error, self.run.path) or error
        status = "cancelled" if self.cancelled() or isinstance(error, KeyboardInterrupt) else "failed"
        self.run.end(status, _message(shown), **getattr(shown, "detail", {}))
        if shown is not error:
            raise shown from error


def begin(run: RunFolder, data: dict[str, Any], model: Path | None, options: ScoreOptions) -> None:
    """Write what is known of a run before anything is read."""
    run.update(
        status="running",
        error=None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        process=os.getpid(),
        versions={name: version(name) for name in ("oga", "torch", "numpy", "scikit-learn", "umap-learn")},
        python=platform.python_version(),
        data=data,
        model={"path": full_path(model) if model else None},
        options=asdict(options),
    )


def identified(data_fingerprint: str, options: ScoreOptions) -> str:
    """Return what changes with the data and the options: the run's fingerprint."""
    identity = json.dumps([data_fingerprint, asdict(options)], sort_keys=True)
    return blake2b(identity.encode(), digest_size=16).hexdigest()


def timed(run: RunFolder, work: Callable[[], None]) -> None:
    """Do the work and write how long it took as the total."""
    start = time.perf_counter()
    work()
    run.update(seconds={**run.info.seconds, "total": round(time.perf_counter() - start, 3)})


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Cancelled. What was finished is kept: start the same run again to go on."
    return str(error) if isinstance(error, OgaError) else f"{type(error).__name__}: {error}"
