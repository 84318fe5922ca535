"""Jobs in a process of their own: one that fails, crashes, or takes too long costs none of the others.

The process writes a line of JSON when it begins a job and one when the job is done. Where it ends before it is
through, the job that it had begun failed, and another process takes those after it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

Results = dict[str, dict[str, Any]]


def run_jobs(
    command: Sequence[str], jobs: Sequence[str], *, seconds: float, of_one: float, after: Callable[[Results], None]
) -> Results:
    """Run `command JOB JOB …` until all jobs are done; return the result of each, `{"error": …}` where there is none.

    seconds: for all. of_one: for one job, the start of its process included. after: called with all results so far
    whenever there is one more.
    """
    results: Results = {}
    deadline = time.monotonic() + seconds
    while left := [job for job in jobs if job not in results]:
        if time.monotonic() >= deadline:
            results.update({job: {"error": "no time left"} for job in left})
            break
        for job, result in _of_one_process([*command, *left], left[0], deadline, of_one):
            results[job] = result
            after(results)
    after(results)
    return results


def _of_one_process(
    command: Sequence[str], first: str, deadline: float, of_one: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield jobs with their results, the last an error where the process did not get through."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    begun: str | None = first
    try:
        while True:
            try:
                line = lines.get(timeout=max(0.0, min(of_one, deadline - time.monotonic())))
            except Empty:
                if begun is not None:
                    yield begun, {"error": f"stopped: it took longer than {of_one:g} s, or no time was left"}
                return
            if line is None:
                if begun is not None:
                    yield begun, {"error": f"the process ended with code {process.wait()}"}
                return
            message = json.loads(line)
            begun = message.get("begin")
            if "job" in message:
                yield message["job"], message["result"]
    finally:
        process.kill()
        process.wait()


def _read(process: subprocess.Popen[str], lines: SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # what a library writes past Python does not
            lines.put(line)
    lines.put(None)


def work(jobs: Sequence[str], take: Callable[[str], dict[str, Any]], *, broken: Callable[[Exception], bool]) -> None:
    """Take the jobs one after the other, in the process that `run_jobs` starts; an error is a result.

    broken: whether nothing can be computed in this process after an error, which it then leaves to another.
    """
    messages = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries talk
        for job in jobs:
            print(json.dumps({"begin": job}), file=messages, flush=True)
            error = None
            try:
                result = take(job)
            except Exception as failure:
                error = failure
                result = {"error": f"{type(failure).__name__}: {failure}"[:500]}
            print(json.dumps({"job": job, "result": result}), file=messages, flush=True)
            if error is not None and broken(error):
                return


def write_json(path: Path | None, content: Any) -> None:
    """Write what is known so far, where a file is wanted."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1))
