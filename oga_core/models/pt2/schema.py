"""The JSON of a `.pt2` file, checked field by field; only the fields that are needed are read."""

from __future__ import annotations

from typing import Any, TypeVar

import torch

from oga_core.errors import OgaError

Json = Any
T = TypeVar("T")

DTYPES: dict[int, torch.dtype] = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
}
MEMORY_FORMATS: dict[int, torch.memory_format] = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
HALF = (torch.float16, torch.bfloat16)
STRIDED = 7
MAX_INT = 2**63 - 1


def broken(what: str) -> OgaError:
    """Return the error for a field that no torch version writes like this."""
    return OgaError(f"The .pt2 file is damaged or was changed by hand: {what}. Export the model again.")


def typed(value: Json, kind: type[T], what: str) -> T:
    """Return `value` if it is a `kind`; a bool is not an int."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise broken(f"{what} should be {kind.__name__}, got {str(value)[:80]!r}")
    return value


def field(record: Json, name: str, kind: type[T]) -> T:
    """Return a required field of a JSON object."""
    return typed(typed(record, dict, f"what holds {name!r}").get(name), kind, repr(name))


def variant(record: Json, what: str) -> tuple[str, Json]:
    """Return tag and value of a union, written as an object with one key."""
    record = typed(record, dict, what)
    if len(record) != 1:
        raise broken(f"{what} should have exactly one key, got {sorted(record)[:4]}")
    return next(iter(record.items()))


def integer(value: Json, what: str) -> int:
    """Return an int that fits 64 bits."""
    number = typed(value, int, what)
    if abs(number) > MAX_INT:
        raise broken(f"{what} is too large")
    return number


def floating(value: Json, what: str) -> float:
    """Return a float; infinities and NaN are written as strings."""
    if value in ("Infinity", "-Infinity", "NaN"):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(integer(value, what))
    return typed(value, float, what)


def dtype(code: Json) -> torch.dtype:
    """Return the dtype of a serialized code."""
    result = DTYPES.get(typed(code, int, "a dtype"))
    if result is None:
        raise OgaError(f"The .pt2 file uses the dtype number {code}, which is not supported. Export it in float32.")
    return result


def static_size(size: Json, what: str) -> int:
    """Return a size that must be a number, 0 or more."""
    tag, value = variant(size, what)
    number = integer(value, what) if tag == "as_int" else -1
    if number < 0:
        raise broken(f"{what} should be a fixed size")
    return number


def shape(meta: Json) -> tuple[int | None, ...]:
    """Return the sizes of a value in the graph, None where the export left them open."""
    sizes = []
    for size in field(meta, "sizes", list):
        tag, value = variant(size, "a size")
        sizes.append(integer(value, "a size") if tag == "as_int" else None)
    return tuple(sizes)
