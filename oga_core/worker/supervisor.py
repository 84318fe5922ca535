"""Jobs in a process of their own: limited, jailed where the system can, and no harm to the dashboard when they crash.

The job goes in as JSON on standard input; progress and the result come back as lines of JSON. Arrays go through files
in the writable folders. Nothing that a worker sends is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from oga_core.errors import OgaError, unknown
from oga_core.files import scratch_folder
from oga_core.worker.inspection import Jail, inspect
from oga_core.worker.limits import FILE_SIZE, QUIET_SECONDS, Cancelled, Limits, WorkerError, WorkerFault, machine_memory
from oga_core.worker.requests import handed_down
from oga_core.worker.stages import Progress

JOBS = {
    "score": "oga_core.pipeline.job:run",
    "saliency": "oga_core.saliency.job:run",
    "verify": "oga_core.retrain.job:run",
    "ask": "oga_core.ask.job:serve",
    "nothing": "oga_core.worker.inspection:do_nothing",
    "preview": "oga_core.previews.job:serve",
    "recognise": "oga_core.previews.recognition:run",
    "look": "oga_core.previews.look:run",
    "trial": "oga_core.previews.trial:run",
    "tokens": "oga_core.previews.tokens:run",
    "export": "oga_core.exports.job:run",
}

_POLL_SECONDS = 0.1
_WATCH_SECONDS = 0.5
_LAST_WORDS = 2.0  # seconds until all is read that a worker has said which ended
_MAX_LINE = 64 << 20
_MAX_MESSAGES_BYTES = 256 << 20  # that wait to be handled
_MAX_TEXT = 2_000
_MAX_TRACEBACK = 20_000
_STDERR_LINES = 40
_PASSED_ON = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("CUBLAS_WORKSPACE_CONFIG", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR"),
)


def run_job(
    name: str,
    arguments: Mapping[str, Any],
    *,
    progress: Progress = lambda message: None,
    cancelled: Callable[[], bool] = lambda: False,
    requests: int | None = None,
    readable: Iterable[Path | str] = (),
    writable: Iterable[Path | str] = (),
    memory_gb: float | None = None,
    seconds: float | None = None,
    quiet_seconds: float = QUIET_SECONDS,
    quiet_stages: Mapping[str, float] | None = None,
    jail: bool = True,
    accelerator: bool | None = None,
) -> dict[str, Any]:
    """Run one of `JOBS` in a new process and return its result, with `jail`: which of its layers held, as `Jail`.

    arguments: JSON. progress: called here, in this thread, with all that the job says. requests: the end to read from
    of a pipe, for a job that stays. readable, writable: what the job may open beside the Python installation.
    memory_gb: None stands for nine tenths of this machine's. quiet_seconds: without any word; quiet_stages: another
    such limit by the name of a stage. jail: False leaves the resource limits only. accelerator: whether the driver of
    one may work in there; None stands for: where this machine has one. Raises the job's own `OgaError`, `Cancelled`,
    `WorkerError` for a limit or a crash, and `WorkerFault` for a fault of ours.
    """
    if name not in JOBS:
        raise unknown("job", name, JOBS)
    memory = int(memory_gb * 2**30) if memory_gb else int(0.9 * machine_memory())
    limits = Limits(memory, seconds, quiet_seconds, quiet_stages or {})
    number, inherited = (None, {}) if requests is None else handed_down(requests)
    with scratch_folder("oga-worker") as folder:
        scratch = str(folder)
        job = {
            "entry": JOBS[name],
            "arguments": dict(arguments),
            "parent": os.getpid(),
            "jail": jail,
            "accelerator": accelerator,
            "requests": number,
            "readable": [str(Path(path).resolve()) for path in readable],
            "writable": [str(Path(path).resolve()) for path in (*writable, scratch)],
            "memory": limits.memory,
            "cpu_seconds": int(seconds * (os.cpu_count() or 1)) + 10 if seconds else None,
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "oga_core.worker.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=scratch,
            env=_environment(scratch),
            **inherited,
        )
        supervisor = _Supervisor(process, limits, progress, cancelled)
        try:
            return supervisor.result(job)
        finally:
            supervisor.close()


def _environment(scratch: str) -> dict[str, str]:
    """Nothing of the parent's but what numbers and threads depend on; caches and temporary files go to the scratch."""
    environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    folders = ("HOME", "TMPDIR", "TEMP", "TMP", "TORCHINDUCTOR_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "HF_HOME")
    environment |= dict.fromkeys(folders, scratch)
    environment |= {"USER": "oga", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
    return environment


class _Supervisor:
    """Watches one worker from the outside: messages, time, memory, and how it ends."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, progress: Progress, cancelled: Callable[[], bool]
    ):
        self.process = process
        self.limits = limits
        self.progress = progress
        self.cancelled = cancelled
        self.messages: queue.Queue[bytes | None] = queue.Queue()
        self.bytes_received = self.bytes_handled = 0
        self.stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self.stage = "starting"
        self.jail: Jail | None = None
        self.started = self.heard = time.monotonic()
        self.watched = 0.0
        self.gone = math.inf
        self.readers = (
            (process.stdout, threading.Thread(target=self._read_messages, daemon=True)),
            (process.stderr, threading.Thread(target=self._read_stderr, daemon=True)),
        )
        for _, reader in self.readers:
            reader.start()

    def result(self, job: dict[str, Any]) -> dict[str, Any]:
        """Send the job and wait for its result."""
        self._send(job)
        while True:
            self._check()
            try:
                line = self.messages.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self._is_gone():
                    raise self._end() from None
                continue
            if line is None:
                self.readers[1][1].join(timeout=_LAST_WORDS)
                raise self._end()
            self.heard = time.monotonic()
            self.bytes_handled += len(line)
            result = self._handle(line)
            if result is not None:
                return result

    def close(self) -> None:
        """End the worker, and close its pipes; what is still read stays open, since closing would wait for its end."""
        self.process.kill()
        self.process.wait()
        _close(self.process.stdin)
        for stream, reader in self.readers:
            reader.join(timeout=_LAST_WORDS)
            if not reader.is_alive():
                _close(stream)

    def _is_gone(self) -> bool:
        """Whether the worker ended and has nothing more to say: what it started may hold its end of the pipe open."""
        now = time.monotonic()
        self.gone = math.inf if self.process.poll() is None else min(self.gone, now)
        return now - self.gone > _LAST_WORDS

    def _send(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # a worker that is gone already says how by the end of its messages
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()  # and stays open: its end tells the worker that this process is gone

    def _read_messages(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self.process.stdout.readline(_MAX_LINE):
                self.bytes_received += len(line)
                if not line.endswith(b"\n") or self.bytes_received - self.bytes_handled > _MAX_MESSAGES_BYTES:
                    break
                self.messages.put(line)
        self.messages.put(None)

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self.process.stderr.readline(4096):
                self.stderr.append(line.decode(errors="replace").rstrip())

    def _check(self) -> None:
        if self.cancelled():
            raise Cancelled("Cancelled. What was finished is kept: start the same run again to go on.")
        now = time.monotonic()
        if self.limits.seconds is not None and now - self.started > self.limits.seconds:
            raise WorkerError(
                f"Stopped after {self.limits.seconds:.0f} s while {self.stage}. Allow more time, or use fewer samples."
            )
        quiet = self.limits.quiet_stages.get(self.stage, self.limits.quiet_seconds)
        if now - self.heard > quiet:
            raise WorkerError(
                f"Stopped: no progress for {quiet:.0f} s while {self.stage}. The model may be too "
                "large for this machine, or a file in it makes a library run forever."
            )
        if now - self.watched > _WATCH_SECONDS:
            self.watched = now
            if self._resident() > self.limits.memory:
                raise self._out_of_memory()

    def _resident(self) -> int:
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(self.process.pid).memory_info().rss)
        return 0

    def _handle(self, line: bytes) -> dict[str, Any] | None:
        try:
            message = json.loads(line)
            kind, content = next(iter(message.items()))
        except (ValueError, RecursionError, AttributeError, StopIteration):
            raise WorkerError(f"The worker answered with something unreadable while {self.stage}.") from None
        if kind == "result" and isinstance(content, dict):
            return {**content, "jail": self.jail or inspect(self.process.pid, {})}
        if kind == "jail" and isinstance(content, dict):
            # Only the first word comes from before the job.
            self.jail = self.jail or inspect(self.process.pid, content)
        elif kind == "progress" and isinstance(content, dict):
            self.stage = str(content.get("stage", self.stage))[:200]
            self.progress(content)
        elif kind == "error" and isinstance(content, dict):
            detail = content.get("detail")
            raise OgaError(str(content.get("message"))[:_MAX_TEXT], detail if isinstance(detail, dict) else None)
        elif kind == "memory":
            raise self._out_of_memory()
        elif kind == "fault":
            raise WorkerFault(f"The worker failed while {self.stage}.\n{str(content)[-_MAX_TRACEBACK:]}")
        return None

    def _out_of_memory(self) -> WorkerError:
        return WorkerError(
            f"Out of memory while {self.stage}: the limit is {self.limits.memory / 2**30:.1f} GB. "
            "Use a smaller batch size, fewer samples, or a machine with more memory."
        )

    def _end(self) -> Exception:
        """Say how the worker ended without a result."""
        try:
            code = self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return WorkerError(f"The worker stopped answering while {self.stage}, so it was ended.")
        if code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            if name == "SIGXCPU":
                return WorkerError(f"Stopped: the processor time ran out while {self.stage}. Allow more time.")
            if name == "SIGXFSZ":
                return WorkerError(f"Stopped: a file grew beyond {FILE_SIZE >> 30} GB while {self.stage}.")
            if name == "SIGKILL":
                return WorkerError(
                    f"The system killed the worker while {self.stage}, most likely because memory ran out. "
                    "Use a smaller batch size or fewer samples, or close other programs."
                )
            return WorkerError(
                f"The worker crashed ({name}) while {self.stage}: something in the model or the data makes native code "
                "fail. The dashboard is not affected. Check that the model runs where it was made, and save it again."
                # A page of a memory-mapped array that finds no room on the disk ends the process this way.
                + (" Or the disk of the run folder is full: free some space." if name == "SIGBUS" else "")
            )
        if any("MemoryError" in line or "bad_alloc" in line for line in self.stderr):
            return self._out_of_memory()
        tail = "\n".join(self.stderr)[-_MAX_TRACEBACK:]
        return WorkerFault(f"The worker ended without a result while {self.stage} (exit status {code}).\n{tail}")


def _close(stream: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError):  # what was not sent has no reader any more
        if stream is not None:
            stream.close()
