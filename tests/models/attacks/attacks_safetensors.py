"""Malformed safetensors files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attack_files import ATTACKS, Attack


def safetensors_file(folder: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def as_header(entries: dict[str, Any]) -> bytes:
    return json.dumps(entries).encode()


_GOOD = {"weight": entry([2, 3], 0, 24), "bias": entry([2], 24, 32)}
_DAMAGED = "is not a readable safetensors file"
SAFETENSORS: dict[str, tuple[str | None, Callable[[Path], Path]]] = {
    "empty": (_DAMAGED, lambda folder: (folder / "model.safetensors", (folder / "model.safetensors").touch())[0]),
    "length_huge": (_DAMAGED, lambda folder: safetensors_file(folder, as_header(_GOOD), bytes(32), 2**63)),
    "length_past_end": (_DAMAGED, lambda folder: safetensors_file(folder, as_header(_GOOD), b"", 10**6)),
    "not_utf8": (_DAMAGED, lambda folder: safetensors_file(folder, b'{"\xff\xfe": 1}')),
    "not_json": (_DAMAGED, lambda folder: safetensors_file(folder, b"{nonsense}")),
    "list": (_DAMAGED, lambda folder: safetensors_file(folder, b"[1, 2]")),
    "nested": (_DAMAGED, lambda folder: safetensors_file(folder, b'{"a":' * 20_000 + b"1" + b"}" * 20_000)),
    "offset_past_end": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 0, 24)}), bytes(8)),
    ),
    "offsets_reversed": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 24, 0)}), bytes(24)),
    ),
    "overlap": (
        _DAMAGED,
        lambda folder: safetensors_file(
            folder, as_header({"weight": entry([2, 3], 0, 24), "bias": entry([2], 8, 16)}), bytes(24)
        ),
    ),
    "shape_mismatch": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 300], 0, 24)}), bytes(24)),
    ),
    "shape_overflow": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2**62, 8], 0, 24)}), bytes(24)),
    ),
    "unknown_dtype": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 0, 24, "EVIL")}), bytes(24)),
    ),
    "negative_shape": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([-2, -3], 0, 24)}), bytes(24)),
    ),
    "hole": (
        _DAMAGED,
        lambda folder: safetensors_file(
            folder, as_header({"weight": entry([2, 3], 0, 24), "bias": entry([2], 32, 40)}), bytes(40)
        ),
    ),
    "metadata_only": ("recognises", lambda folder: safetensors_file(folder, b'{"__metadata__":{"a":"b"}}')),
    "good": (None, lambda folder: safetensors_file(folder, as_header(_GOOD), bytes(32))),
}
for _name, (_refused, _build) in SAFETENSORS.items():
    ATTACKS[f"safetensors_{_name}"] = Attack(lambda folder, marker, build=_build: build(folder), _refused)
