"""A program for a machine with a GPU: does the driver work in the jail, and which of the jail's openings does it need?

Run it in the project's folder: PYTHONPATH=. python tests/worker/gpu_jail_probe.py
It prints JSON: `in the jail` and `without` (a matrix product by torch, as a job), then `cuInit` (0 is success) in the
jail as it is, with each opening for drivers closed, and, where the jail as it is fails, with each refusal lifted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oga_core.worker import accelerators, jail, landlock, system_calls
from oga_core.worker import supervisor as worker
from oga_core.worker.limits import machine_memory

_SIZE = 4096


def use_the_card(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return what torch sees in here, and whether a matrix product on the card is right."""
    import torch

    start = time.perf_counter()
    result: dict[str, Any] = {"available": torch.cuda.is_available(), "torch": torch.__version__}
    try:
        result["device"] = torch.cuda.get_device_name()
        ones = torch.ones(_SIZE, _SIZE, device="cuda")
        result["product is right"] = bool(((ones @ ones) == _SIZE).all())
        images = torch.rand(8, 3, 64, 64, device="cuda", requires_grad=True)
        torch.nn.Conv2d(3, 8, 3).cuda()(images).sum().backward()
        result["peak memory MB"] = round(torch.cuda.max_memory_allocated() / 2**20)
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
    return {**result, "seconds": round(time.perf_counter() - start, 2)}


def _as_a_job(**options: Any) -> dict[str, Any]:
    worker.JOBS["probe"] = "gpu_jail_probe:use_the_card"
    try:
        return worker.run_job("probe", {}, readable=[Path(__file__).parent], seconds=120, **options)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _initialise(change: str) -> None:
    """Be a process of its own: enter the jail, changed in one point, and print what cuInit answers."""
    import ctypes

    what, _, name = change.partition(" ")
    if what == "close":
        system_calls.DENIED[name] = system_calls.FOR_ACCELERATORS[name]
    elif what == "lift":
        del system_calls.DENIED[name]
    elif what == "names":  # of threads
        accelerators.THREADS = "/does/not/exist"
    elif what == "folder":
        accelerators.READABLE += (name,)
    if what in ("landlock", "both"):
        jail.refuse_files = lambda *arguments, **options: False
    if what in ("seccomp", "both"):
        jail.refuse_calls = lambda *arguments, **options: False
    if what == "capabilities":
        jail._drop_capabilities = lambda libc: None
    layers = jail.enter([], [], memory=None, cpu_seconds=None, file_size=1 << 30, accelerator=True)
    print(json.dumps({"cuInit": ctypes.CDLL("libcuda.so.1").cuInit(0), **layers}))


def _answer(change: str) -> Any:
    done = subprocess.run([sys.executable, __file__, change], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)["cuInit"] if done.returncode == 0 else done.stderr.strip()[-300:]


def _probe() -> dict[str, Any]:
    import ctypes

    result: dict[str, Any] = {
        "devices": accelerators.devices(),
        "landlock version": landlock.version(ctypes.CDLL(None)),
        "memory GB": round(machine_memory() / 2**30),
        "in the jail": _as_a_job(),
        "without": _as_a_job(jail=False),
        "cuInit": {"as it is": _answer("nothing")},
    }
    closed = [f"close {name}" for name in system_calls.FOR_ACCELERATORS]
    lifted = [f"lift {name}" for name in system_calls.DENIED]
    layers = ["both", "landlock", "seccomp", "capabilities", "folder /", "folder /proc", "folder /sys", "folder /etc"]
    works = result["cuInit"]["as it is"] == 0
    for change in [*closed, "names"] if works else [*layers, *lifted]:
        result["cuInit"][change] = _answer(change)
    if not works:  # only what makes it work is worth reading
        helps = {change: answer for change, answer in result["cuInit"].items() if answer == 0}
        result["cuInit"] = {"as it is": result["cuInit"]["as it is"], **helps}
    return result


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _initialise(sys.argv[1])
    else:
        print(json.dumps(_probe(), indent=1))
