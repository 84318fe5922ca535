"""Where a pass runs and how many samples it takes at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager

import psutil
import torch

from oga_core.errors import OgaError, unknown

PRECISIONS = ("float32", "bfloat16")
LARGEST_BATCH = 256
CPU_BATCH_BYTES = 384 * 2**20  # beyond this a larger batch is no faster on a CPU: its activations leave the caches


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` takes CUDA, else MPS, else the CPU."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise unknown("device", name, ("auto", *available))
    if not available[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise OgaError(f"The device {name!r} is not available on this machine. Use --device auto, or cpu.")
    return torch.device(name)


def precision_context(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the autocast context of `precision`: float32 (as the model is) or bfloat16."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def free_bytes(device: torch.device) -> int:
    """Memory that a pass may still take on `device`."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def batch_size_for(device: torch.device, bytes_per_sample: int) -> int:
    """Return the largest power of two whose activations fit, at most `LARGEST_BATCH`.

    A function of sizes and not of timings, so that two runs on one machine use the same and agree to the last bit.
    """
    budget = free_bytes(device) // 4
    if device.type == "cpu":
        budget = min(budget, CPU_BATCH_BYTES)
    fitting = max(1, budget // max(bytes_per_sample, 1))
    return int(min(LARGEST_BATCH, 1 << (fitting.bit_length() - 1)))
