"""The gradient pass in a worker: what it may open, and how long it may be quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_core.worker.supervisor import run_job

if TYPE_CHECKING:
    from oga_core.pipeline.request import PassRequest
    from oga_core.worker.stages import Progress

# In these stages nothing says how far it is, and nothing should take long: a chat template may loop forever in them.
_QUIET_STAGES = (
    "starting",
    "read data",
    "read outputs",
    "load model",
    "read samples",
    "read rows",
    "read validation data",
)
_QUIET_SECONDS = 300.0
_SLOWEST_READING = 20e6  # bytes a second, of a network drive


def take_pass(request: PassRequest, progress: Progress, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Take the gradient pass in a worker; return what belongs in run.json, by its names."""
    readable = request.readable()
    result = run_job(
        "score",
        asdict(request),
        progress=progress,
        cancelled=cancelled,
        readable=readable,
        writable=[Path(request.folder)],
        quiet_stages=_quiet_stages(readable),
        accelerator=False if request.pass_options["device"] == "cpu" else None,
    )
    result["warnings"] = [*result["jail"]["missing"], *result["warnings"]]
    data = {
        "path": request.data,
        "options": dict(request.data_options),
        "fingerprint": result.pop("data_fingerprint"),
        "format": result.pop("data_format"),
    }
    return {**result, "data": data}


def _quiet_stages(files: Iterable[Path]) -> dict[str, float]:
    size = sum(path.stat().st_size for path in set(files) if path.is_file())
    return dict.fromkeys(_QUIET_STAGES, _QUIET_SECONDS + size / _SLOWEST_READING)
