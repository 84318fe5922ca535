"""The worker's own program: it reads its job, enters the jail, imports the job's function, runs it and answers."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.files import is_full, unwritable
from oga_core.worker import accelerators, jail
from oga_core.worker.limits import FILE_SIZE
from oga_core.worker.requests import receive
from oga_core.worker.stages import Progress


def main() -> None:
    """Be the worker: read the job, enter the jail, import the job's function, run it, answer."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is not an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    job = json.loads(sys.stdin.buffer.readline())
    jail.die_with_parent(job["parent"])

    def answer(kind: str, content: Any) -> None:
        answers.write(json.dumps({kind: content}, default=_as_json) + "\n")
        answers.flush()

    limits = {"memory": job["memory"], "cpu_seconds": job["cpu_seconds"], "file_size": FILE_SIZE}
    limits["accelerator"] = bool(accelerators.devices()) if job["accelerator"] is None else job["accelerator"]
    if job["jail"]:
        answer("jail", jail.enter(map(Path, job["readable"]), map(Path, job["writable"]), **limits))
    else:
        answer("jail", {"limits": jail.set_limits(**limits), "landlock": False, "seccomp": False})
    threading.Thread(target=_exit_when_alone, daemon=True).start()
    if job["requests"] is not None:
        threading.Thread(target=receive, args=(job["requests"],), daemon=True).start()
    kind, content = _outcome(job, lambda message: answer("progress", message))
    answer(kind, content)
    os._exit(0)  # native threads of a model may hang at a regular exit


def _outcome(job: dict[str, Any], progress: Progress) -> tuple[str, Any]:
    import traceback

    try:
        module, function = job["entry"].split(":")
        return "result", getattr(import_module(module), function)(job["arguments"], progress)
    except OgaError as error:
        return "error", {"message": str(error), "detail": error.detail}
    except BaseException as error:
        if isinstance(error, OSError) and is_full(error):
            return "error", {"message": str(unwritable(Path(job["writable"][0]), error))}
        return ("memory" if _is_memory(error) else "fault"), traceback.format_exc()


def _is_memory(error: BaseException) -> bool:
    phrases = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "Cannot allocate memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in phrases)


def _exit_when_alone() -> None:
    """Standard input ends when the parent does, on every system."""
    sys.stdin.buffer.read()
    os._exit(1)


def _as_json(value: Any) -> Any:
    """NumPy numbers become numbers, everything else its text."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main()
