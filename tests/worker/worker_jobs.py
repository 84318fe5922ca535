"""Jobs for the tests of worker and jail: honest ones, and ones that try to get out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Report = Callable[[dict[str, Any]], None]


def echo(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "echoing", "done": 1, "total": 2})
    print("noise on standard output")
    return {"arguments": arguments, "environment": sorted(os.environ)}


def refuse(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    from oga_core.errors import OgaError

    raise OgaError("The data has no column 'label'.", {"columns": ["text"]})


def leave_a_child(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Be killed, while a process that this one started holds its pipes open."""
    child = os.fork()
    if not child:
        time.sleep(30)
        os._exit(0)
    report({"stage": str(child)})
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def fault(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "dividing"})
    return {"result": 1 / arguments["zero"]}


def forever(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "looping"})
    Path(arguments["folder"], "part").write_text("done")
    while True:
        pass


def hold_the_interpreter(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """No other thread of this process runs while a regular expression is matched."""
    Path(arguments["folder"], "part").write_text("done")
    return {"found": bool(re.match("(a+)+$", "a" * 60 + "b"))}


def take_back_the_signal(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Have Linux not tell this process that its parent died, which a jail would refuse."""
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    return hold_the_interpreter(arguments, report)


def talk_forever(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    while True:
        report({"stage": "talking"})
        time.sleep(0.05)


def crash(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "crashing"})
    os.kill(os.getpid(), getattr(signal, arguments["signal"]))
    time.sleep(5)
    return {}


def read_null(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "reading memory"})
    return {"text": ctypes.string_at(0).decode()}


def leave(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    print("last words", file=sys.stderr)
    sys.stderr.flush()
    os._exit(3)


def fill_memory(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "filling memory"})
    return {"n": len(b"x" * arguments["bytes"])}


def fill_shared_memory(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Shared pages count for no resource limit."""
    import mmap

    report({"stage": "filling memory"})
    shared = mmap.mmap(-1, arguments["bytes"])
    while shared.write(b"x" * (1 << 20)):
        time.sleep(0.001)
    return {}


def fill_memory_with_torch(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    import torch

    report({"stage": "filling memory"})
    return {"n": torch.ones(arguments["bytes"] // 4).numel()}


def say_garbage(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    for descriptor in range(3, 10):
        try:
            os.write(descriptor, b"[" * 100_000 + b"\n")
        except OSError:
            continue
    time.sleep(5)
    return {}


def boast(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Claim a jail, as code that took over the worker could."""
    word = b'{"jail": {"limits": true, "landlock": true, "seccomp": true}}\n'
    for descriptor in range(3, 10):
        with contextlib.suppress(OSError):
            os.write(descriptor, word)
    return {}


def fall_silent(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "closing everything"})
    os.closerange(0, 100)
    time.sleep(60)
    return {}


def say_too_much(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "talking", "text": "x" * arguments["bytes"]})
    return {}


def attempts(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Try every way out and say how each ended; `ways` is a group of them by the kind of way."""
    import escapes
    import escapes_of_processes as kernel

    folders = {name: Path(arguments[name]) for name in ("outside", "inside", "readable")}
    groups = {
        "files": escapes.files(**folders),
        "attributes": escapes.attributes(folders["outside"], folders["readable"]),
        "writes to /proc": escapes.proc_writes(),
        "processes": kernel.processes(arguments["parent"]),
        "sockets": kernel.sockets(),
        "memory": kernel.memory(),
        "machine": kernel.machine(),
        "programs": kernel.programs(),
    }
    outcomes = {group: escapes.attempt(ways) for group, ways in groups.items()}
    return {"ways": {f"{group}: {name}": outcomes[group][name] for group in outcomes for name in outcomes[group]}}


def act_like_a_driver(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """What CUDA does before it answers."""
    import errno
    import socket

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0oga-driver-{os.getpid()}")
    listener.listen()
    names: list[str] = []
    started = threading.Event()
    thread = threading.Thread(target=lambda: started.wait(30) and names.append(_own_name()))
    thread.start()
    Path(f"/proc/self/task/{thread.native_id}/comm").write_text("driver")
    started.set()
    thread.join()
    memory = os.memfd_create("driver")
    os.ftruncate(memory, 1 << 20)
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(listener.getsockname())
    except OSError as error:
        refusal = errno.errorcode[error.errno or 0]
    return {"name": names[0], "connect": refusal, "memory": os.fstat(memory).st_size}


def _own_name() -> str:
    return Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip()


def honest_work(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """What a run does: threads, files, database, libraries."""
    import sqlite3
    import tempfile

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from sklearn.ensemble import IsolationForest

    folder = Path(arguments["folder"])
    torch.set_num_threads(2)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 30 * 30, 2))
    network(torch.randn(64, 3, 32, 32)).sum().backward()
    forest = IsolationForest(n_estimators=20, random_state=0, n_jobs=2).fit(np.arange(40.0).reshape(20, 2))
    with sqlite3.connect(folder / "events.sqlite") as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table event (name)")
        database.execute("insert into event values ('kept')")
    with tempfile.NamedTemporaryFile() as file:
        np.save(file, np.zeros(3))
    array = np.lib.format.open_memmap(folder / "part.npy", "w+", dtype=np.float32, shape=(5,))
    array[:] = 1
    array.flush()
    os.replace(folder / "part.npy", folder / "whole.npy")
    pq.write_table(pa.table({"row": [1, 2]}), folder / "rows.parquet")
    rows = pq.read_table(folder / "rows.parquet", memory_map=True)["row"].to_pylist()
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(1))
    thread.start()
    thread.join()
    score = float(forest.score_samples([[0.0, 1.0]])[0])
    held = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return {"held": held, "threads": torch.get_num_threads(), "score": score, "ran": results, "rows": rows}
