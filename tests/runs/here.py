"""The worker's part of a job in this process: a worker takes two seconds to start, and few tests are about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from oga_core import exports
from oga_core.pipeline import score as pipeline
from oga_core.pipeline import worker_pass
from oga_core.previews import reader
from oga_core.retrain import verification, verify
from oga_core.runs.folder import RunFolder
from oga_core.saliency import saliency
from oga_core.worker.child import _as_json
from oga_core.worker.inspection import Jail
from oga_core.worker.supervisor import JOBS

JAIL = Jail(limits=True, landlock=True, seccomp=True, missing=[])


@contextmanager
def without_workers() -> Iterator[None]:
    """Let jobs of a run do their work here; what goes in and comes out is JSON all the same."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (worker_pass, saliency, verification, exports, reader):
            patch.setattr(module, "run_job", _run_here)
        yield


def score_here(*arguments: Any, **options: Any) -> RunFolder:
    """Score as `score` does, without a worker."""
    with without_workers():
        return pipeline.score(*arguments, **options)


def verify_here(*arguments: Any, **options: Any) -> dict[str, Any]:
    """Train again and compare as `verify` does, without a worker."""
    with without_workers():
        return verify(*arguments, **options)


def _run_here(
    name: str, arguments: dict[str, Any], *, progress: Callable[[Any], None] = lambda event: None, **_: Any
) -> dict[str, Any]:
    module, function = JOBS[name].split(":")
    result = getattr(import_module(module), function)(_through_json(arguments), progress)
    return {**_through_json(result), "jail": JAIL}


def _through_json(content: dict[str, Any]) -> Any:
    return json.loads(json.dumps(content, default=_as_json))
