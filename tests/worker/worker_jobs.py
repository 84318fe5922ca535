"""Jobs for the tests of worker and jail: honest ones, and ones that try to get out."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
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


def fall_silent(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "closing everything"})
    os.closerange(0, 100)
    time.sleep(60)
    return {}


def say_too_much(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"stage": "talking", "text": "x" * arguments["bytes"]})
    return {}


def attempts(arguments: dict[str, Any], report: Report) -> dict[str, str]:
    """Try every way out and say how each ended."""
    outside, inside, parent = arguments["outside"], arguments["inside"], arguments["parent"]
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *values: int) -> None:
        if libc.syscall(number, *values) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    ways: dict[str, Callable[[], Any]] = {
        "read outside": lambda: Path(outside, "secret").read_text(),
        "list outside": lambda: os.listdir(outside),
        "write outside": lambda: Path(outside, "new").write_text("x"),
        "truncate outside": lambda: os.truncate(Path(outside, "secret"), 0),
        "delete outside": lambda: os.unlink(Path(outside, "secret")),
        "rename into outside": lambda: os.rename(Path(inside, "mine"), Path(outside, "mine")),
        "change mode outside": lambda: os.chmod(Path(outside, "secret"), 0o777),
        "link to outside": lambda: os.symlink(outside, Path(inside, "link")),
        "read password file": lambda: Path("/etc/passwd").read_text(),
        "write readable": lambda: Path(arguments["readable"], "new").write_text("x"),
        "parent's environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "parent's memory": lambda: os.open(f"/proc/{parent}/mem", os.O_RDONLY),
        "shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "system": lambda: _must_be_zero(os.system("true")),
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "signal parent": lambda: os.kill(parent, signal.SIGUSR1),
        "signal group": lambda: os.kill(0, signal.SIGUSR1),
        "ptrace parent": lambda: call(101 if arguments["x86"] else 117, 16, parent, 0, 0),
        "io_uring": lambda: call(425, 8, 0),
        "limits of parent": lambda: __import__("resource").prlimit(parent, 4, (0, 0)),
    }
    outcomes = {}
    for name, way in ways.items():
        try:
            way()
            outcomes[name] = "worked"
        except (OSError, subprocess.SubprocessError) as error:
            outcomes[name] = type(error).__name__
    return outcomes


def _must_be_zero(code: int) -> None:
    if code != 0:
        raise OSError(code, "refused")


def honest_work(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """What a run does: threads, files, database, libraries."""
    import sqlite3
    import tempfile

    import numpy as np
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
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(1))
    thread.start()
    thread.join()
    return {"threads": torch.get_num_threads(), "score": float(forest.score_samples([[0.0, 1.0]])[0]), "ran": results}
