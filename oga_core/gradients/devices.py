"""Where a pass runs, in which precision, and how many samples it takes at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from oga_core.errors import OgaError, unknown
from oga_core.gradients.options import PRECISIONS

_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
LARGEST_BATCH = 256
CPU_BATCH_BYTES = 384 * 2**20  # beyond this a larger batch is no faster on a CPU: its activations leave the caches
_NVIDIA_NODE = Path("/dev/nvidiactl")  # there where a driver has found a card
_AMD_NODE = Path("/dev/kfd")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` takes CUDA, else MPS, else the CPU."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise unknown("device", name, ("auto", *available))
    if not available[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        reason = unusable_card() if kind == "cuda" else None
        why = f": {reason}" if reason else ""
        raise OgaError(f"The device {name!r} is not available on this machine{why}. Choose the device auto, or cpu.")
    return torch.device(name)


def cards() -> list[str]:
    """Return the names of this machine's cards, `cuda:0` and so on."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def unusable_card() -> str | None:
    """Return why the card of this machine cannot be used; None where it can, or where there is none."""
    if torch.cuda.is_available() or not (_NVIDIA_NODE.exists() or _AMD_NODE.exists()):
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was built without support for it; install a build for CUDA or ROCm"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.cuda.init()
    except Exception as error:  # the driver says in its own words what is wrong
        return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    return "the driver shows no card"


def device_name(device: torch.device) -> str:
    """Return the name of a device as its maker calls it, `cpu` for a CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def require_precision(device: torch.device, precision: str) -> None:
    """Raise `OgaError` where `device` does not compute in `precision`, and would take another one in its place."""
    reason = _lacks_tf32(device) if precision == "tf32" else _lacks_autocast(device, _AUTOCAST.get(precision))
    if reason is None:
        return
    others = [name for name in PRECISIONS if name not in (precision, "tf32")]
    card = unusable_card() if device.type == "cpu" else None
    unused = f" This machine has a graphics card that cannot be used: {card}." if card else ""
    raise OgaError(
        f"The precision {precision!r} cannot be had on {_called(device)}: {reason}.{unused} "
        f"Choose the precision {' or '.join(others)}, or another device."
    )


def _lacks_tf32(device: torch.device) -> str | None:
    if device.type != "cuda" or torch.version.hip is not None:
        return "it is a way of NVIDIA cards to multiply numbers of float32"
    major, minor = torch.cuda.get_device_capability(device)
    return f"it needs a card of compute capability 8.0 or higher, and this has {major}.{minor}" if major < 8 else None


def _lacks_autocast(device: torch.device, dtype: torch.dtype | None) -> str | None:
    """Why a product there has not this dtype under autocast; None where it has."""
    if dtype is None:
        return None
    try:
        with warnings.catch_warnings(action="ignore"), torch.autocast(device.type, dtype):
            ones = torch.ones(2, 2, device=device)
            computed = (ones @ ones).dtype
    except RuntimeError as error:
        return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    return None if computed == dtype else f"products there are computed in {str(computed).removeprefix('torch.')}"


def _called(device: torch.device) -> str:
    return "the CPU" if device.type == "cpu" else f"the device {str(device)!r}"


@contextmanager
def precision_context(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in `precision` for a while.

    float32: as the model is, and its products in full. tf32: products of float32 on a card with 10 bits.
    bfloat16, float16: autocast.
    """
    dtype = _AUTOCAST.get(precision, torch.bfloat16)
    autocast = torch.autocast(device.type, dtype, enabled=precision in _AUTOCAST)
    with _products_of_float32(short=precision == "tf32"), autocast:
        yield


@contextmanager
def repeatable() -> Iterator[None]:
    """Have convolutions of a card computed the same way every time."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


@contextmanager
def _products_of_float32(*, short: bool) -> Iterator[None]:
    """Let a card round the factors of products and convolutions to 10 bits, or not."""
    before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = short
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def free_bytes(device: torch.device) -> int:
    """Memory that a pass may still take on `device`."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def release_memory(device: torch.device) -> None:
    """Give back what torch keeps of a card's memory for later, so that it is not held in pieces of the wrong size."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_peak(device: torch.device) -> None:
    """Begin to measure the most memory that is held on a card."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_mb(device: torch.device) -> float | None:
    """The most memory held on a card since `forget_peak`, in MiB; None elsewhere."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None


def batch_size_for(device: torch.device, bytes_per_sample: int) -> int:
    """Return the largest power of two whose activations fit, at most `LARGEST_BATCH`.

    A function of sizes and not of timings, so that two runs on one machine use the same and agree to the last bit.
    """
    budget = free_bytes(device) // 4
    if device.type == "cpu":
        budget = min(budget, CPU_BATCH_BYTES)
    fitting = max(1, budget // max(bytes_per_sample, 1))
    return int(min(LARGEST_BATCH, 1 << (fitting.bit_length() - 1)))
