"""A program: run the job that tries all ways out, in folders given, and print how each ended, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from oga_core.worker import supervisor as worker

if __name__ == "__main__":
    root = Path(sys.argv[1])
    worker.JOBS["attempts"] = "worker_jobs:attempts"
    cores = os.sched_getaffinity(0)
    folders = {name: str(root / name) for name in ("outside", "inside", "readable")}
    result = worker.run_job(
        "attempts",
        {**folders, "parent": os.getpid()},
        readable=[Path(__file__).parent, folders["readable"]],
        writable=[folders["inside"]],
        memory_gb=4,
        accelerator=sys.argv[2] == "accelerator",
    )
    assert os.sched_getaffinity(0) == cores, "the job chose the cores of this process"
    print(json.dumps(result))
