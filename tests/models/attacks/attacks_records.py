"""Packaged models whose record of gradients lies: each costs seconds and one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attack_files import ATTACKS, CARD, Attack
from pt2_attacks import benign, write

PROBE = {"name": "", "shape": [2, 1, 4, 4], "dtype": "float32", "low": 0, "high": 0}
RECORD: dict[str, Any] = {
    "probes": [PROBE],
    "norms": {"head.weight": 1.0, "head.bias": 1.0},
    "not_reached": [],
    "tolerance": 1e-3,
}
DAMAGED = r"gradients\.json in model\.pt2 is damaged\. Package the model again"
NO_FIT = r"cannot be run on the inputs that gradients\.json in it describes: .* Package the model again"
OTHER = "is not what it was when the model was packaged"


def _file(record: object) -> Callable[[Path, Path], Path]:
    def build(folder: Path, marker: Path) -> Path:
        card = {**CARD, "modality": "image", "classes": ["a", "b", "c"], "input": {"image_size": [4, 4]}}
        content = record if isinstance(record, bytes) else json.dumps(record).encode()
        extra = {"extra/oga.json": json.dumps(card).encode(), "extra/gradients.json": content}
        return write(folder / "model.pt2", benign() | extra)

    return build


def _add(name: str, refused: str, record: object) -> None:
    ATTACKS[f"pt2_record_{name}"] = Attack(_file(record), refused)


def _probe(**changes: Any) -> dict[str, Any]:
    return {**RECORD, "probes": [{**PROBE, **changes}]}


_add("empty_range", DAMAGED, _probe(dtype="int64", low=5, high=4))
_add("range_2_70", DAMAGED, _probe(dtype="int64", low=0, high=2**70))
_add("range_of_bytes", DAMAGED, _probe(dtype="uint8", low=0, high=100_000))
_add("range_of_texts", DAMAGED, _probe(dtype="int64", low="0", high="1"))
_add("quantized", DAMAGED, _probe(dtype="quint8"))
_add("four_bits", DAMAGED, _probe(dtype="float4_e2m1fn_x2"))
_add("no_dtype", DAMAGED, _probe(dtype="load"))
_add("5_000_axes", DAMAGED, _probe(shape=[1] * 5_000))
_add("a_quarter_billion", DAMAGED, _probe(shape=[2**24, 1, 4, 4]))
_add("more_together", DAMAGED, {**RECORD, "probes": [{**PROBE, "shape": [2**24]}] * 3})
_add("a_size_of_text", DAMAGED, _probe(shape="2144"))
_add("another_field", DAMAGED, _probe(device="cuda"))
_add("100_000_probes", DAMAGED, {**RECORD, "probes": [PROBE] * 100_000})
_add("nested_probes", DAMAGED, {**RECORD, "probes": [[PROBE]]})
_add("infinite_norm", DAMAGED, {**RECORD, "norms": {"head.weight": float("inf")}})
_add("norm_without_a_square", DAMAGED, {**RECORD, "norms": {"head.weight": 1e200}})
_add("no_number", DAMAGED, {**RECORD, "norms": {"head.weight": float("nan")}})
_add("tolerance_of_text", DAMAGED, {**RECORD, "tolerance": "all"})
_add("other_shape", NO_FIT, _probe(shape=[2, 3]))
_add("no_probes", NO_FIT, {**RECORD, "probes": []})
_add("named_self", NO_FIT, _probe(name="self"))
_add("other_norms", OTHER, RECORD)
_add("long_name", OTHER, {**RECORD, "norms": {"x" * 1_000_000: 1.0}})
_add("tolerance_is_no_number", OTHER, {**RECORD, "tolerance": float("nan")})
