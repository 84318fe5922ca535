"""Randomly changed `.pt2` files: each is read harmlessly or refused in words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from pt2_attacks import CONSTANTS, MODEL, WEIGHTS, benign, write

from oga_core.errors import OgaError
from oga_core.models.pt2.reader import read_pt2

ODD = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    -1.5,
    "",
    "x",
    "Infinity",
    [],
    {},
    [[]],
    {"as_int": -5},
    {"as_tensor": {}},
]


def mutated(value: Any, chance: random.Random) -> Any:
    """Return the JSON value with one random leaf or branch replaced, dropped or doubled."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.15:
        return chance.choice(ODD)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = chance.choice(keys)
    kind = chance.random()
    if kind < 0.1:
        del value[key]
    elif kind < 0.15 and isinstance(value, list):
        value.append(value[key])
    elif kind < 0.2 and isinstance(value, dict):
        value[chance.choice(list(value))] = value[key]
    else:
        value[key] = mutated(value[key], chance)
    return value


def test_mutated_json_never_escapes_as_another_error(tmp_path: Path) -> None:
    """Reading only: what a graph does when it runs is for the worker process to bear."""
    path, refused = tmp_path / "model.pt2", 0
    for seed in range(400):
        chance = random.Random(seed)
        entries = benign()
        name = chance.choice([MODEL, MODEL, MODEL, WEIGHTS, CONSTANTS])
        content = json.loads(entries[name])
        for _ in range(chance.choice([1, 1, 3])):
            content = mutated(content, chance)
        try:
            read_pt2(write(path, entries | {name: json.dumps(content).encode()}))
        except OgaError:
            refused += 1
    assert refused > 100


def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pt2", benign())
    original, refused = path.read_bytes(), 0
    for seed in range(200):
        chance = random.Random(seed)
        data = bytearray(original)
        for _ in range(chance.choice([1, 4, 16])):
            # the directory at the end matters most
            at = chance.randrange(len(data) - 3000, len(data)) if chance.random() < 0.6 else chance.randrange(len(data))
            data[at] = chance.randrange(256)
        path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.1 else data)
        try:
            read_pt2(path)
        except OgaError:
            refused += 1
    assert refused > 100
