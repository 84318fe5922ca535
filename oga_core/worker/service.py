"""A job that stays and answers requests: started when first asked, ended when idle, and started again after it died."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oga_core.worker.limits import WorkerError
from oga_core.worker.supervisor import run_job

# An idle process holds its memory for nothing; it is back within seconds.
_IDLE_SECONDS = 900.0
# Answers that nobody has taken yet; a page of a grid asks for 60 at once.
_MAX_WAITING = 1000

Answer = dict[str, Any]


class Service:
    """Runs one of `JOBS` that answers `requests()` with progress messages {"answer": …}, as many as a request asks for.

    The first answer, before any request, says that it is ready. seconds: until the next answer; start_seconds: until it
    is ready. Other arguments as in `run_job`. One request is answered at a time; any thread may ask.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        readable: Sequence[Path | str],
        memory_gb: float,
        seconds: float,
        start_seconds: float,
    ):
        self._new = lambda: _Process(name, arguments, readable, memory_gb)
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process before anything is asked, so that it is ready when something is."""
        with self._lock:
            self._living()

    def settles(self, seconds: float) -> bool:
        """Whether the process is ready within so many seconds, or has ended, which asking tells more about.

        It is started where there is none; one that ended before it was ready is not started again.
        """
        process = self._process
        if process is not None and process.is_ready != process.ended:
            return True
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            process = self._living()
            process.is_ready = process.is_ready or process.begins(seconds)
            return process.is_ready or process.ended
        finally:
            self._lock.release()

    def ask(self, request: Mapping[str, Any], n_answers: int, take: Callable[[Answer], object]) -> None:
        """Send a request and hand each of its answers to `take`.

        Raises what `run_job` raises, also after some of the answers; the next request starts another process.
        """
        with self._lock:
            process = self._living()
            try:
                if not process.is_ready:
                    process.answer(self._start_seconds)
                    process.is_ready = True
                process.send(request)
                for _ in range(n_answers):
                    take(process.answer(self._seconds))
            except BaseException:
                process.stop()  # what it still answers would be taken for the next request's
                raise

    def close(self) -> None:
        """End the process, where there is one."""
        process = self._process
        if process is not None:
            process.stop()

    def _living(self) -> _Process:
        if self._process is None or self._process.ended:
            self._process = self._new()
        return self._process


class _Process:
    """One worker, the thread that supervises it, and the pipe to it."""

    def __init__(self, name: str, arguments: Mapping[str, Any], readable: Sequence[Path | str], memory_gb: float):
        self.is_ready = False
        self._error: Exception | None = None
        self._answers: queue.Queue[Answer | None] = queue.Queue()
        self._stopped = threading.Event()
        self._requests, pipe = os.pipe()
        self._pipe = os.fdopen(pipe, "wb", buffering=0)
        work = (name, arguments, readable, memory_gb)
        self._thread = threading.Thread(target=self._supervise, args=work, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the worker is gone, or about to go."""
        return self._stopped.is_set() or not self._thread.is_alive()

    def send(self, request: Mapping[str, Any]) -> None:
        """Write one request to the worker; of one that is gone, `answer` says how it ended."""
        with contextlib.suppress(OSError):
            self._pipe.write(json.dumps(request).encode() + b"\n")

    def answer(self, seconds: float) -> Answer:
        """Wait for the next answer; a worker that takes longer is ended."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            raise WorkerError(f"Reading took more than {seconds:.0f} s, so it was ended.") from None
        if answer is None:
            self.stop()
            raise self._error or WorkerError("The reading process ended. Try again.")
        return answer

    def begins(self, seconds: float) -> bool:
        """Whether its first answer comes within so many seconds; what comes instead is for `answer`."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return False
        if answer is None:
            self._answers.put(None)
        return answer is not None

    def stop(self) -> None:
        """End the worker."""
        self._stopped.set()

    def _supervise(
        self, name: str, arguments: Mapping[str, Any], readable: Sequence[Path | str], memory_gb: float
    ) -> None:
        try:
            run_job(
                name,
                arguments,
                progress=self._heard,
                cancelled=self._stopped.is_set,
                requests=self._requests,
                readable=readable,
                memory_gb=memory_gb,
                quiet_seconds=_IDLE_SECONDS,
                accelerator=False,
            )
        except Exception as error:
            self._error = error
        self._stopped.set()
        self._answers.put(None)
        os.close(self._requests)

    def _heard(self, message: Mapping[str, Any]) -> None:
        answer = message.get("answer")
        if isinstance(answer, dict):
            if self._answers.qsize() > _MAX_WAITING:
                raise WorkerError("The worker answered what nobody asked, so it was ended.")
            self._answers.put(answer)
