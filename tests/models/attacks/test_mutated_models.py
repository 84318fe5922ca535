"""Damaged copies of honest models: each loads or is refused in words, and none brings the worker down."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attack_set as attacks
import pytest
import torch
from attack_files import weights
from attacks_huggingface import tiny_bert
from attacks_other import skops_file
from attacks_peft import adapter

from oga_core.worker import supervisor as worker
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent
COPIES = 15
VALUES: list[Any] = [None, True, 0, -1, 3, 2**31, 2**63, 0.5, 1e308, "", "x", "relu", "../..", [], {}, [1], {"a": 1}]


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 2, 8])):
        position = rng.randrange(len(damaged))
        if rng.random() < 0.7:
            damaged[position] = rng.randrange(256)
        else:
            del damaged[position : position + rng.randrange(1, 20)]
    return bytes(damaged)


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    settings = json.loads(content)
    for _ in range(rng.choice([1, 2])):
        settings[rng.choice(sorted(settings))] = rng.choice(VALUES)
    return json.dumps(settings).encode()


def copies(root: Path) -> Iterator[tuple[str, Path]]:
    """Build one honest model of each kind, then damage one file in each of its copies."""
    rng = random.Random(0)
    for kind, name, damage in (
        ("torch", "model.pt", damaged_bytes),
        ("safetensors", "model.safetensors", damaged_bytes),
        ("skops", "model.skops", damaged_bytes),
        ("bert", "config.json", damaged_json),
        ("bert", "tokenizer.json", damaged_json),
        ("peft", "adapter_config.json", damaged_json),
    ):
        honest = root / f"honest_{kind}"
        if not honest.exists():
            honest.mkdir()
            build_honest(kind, honest)
        for number in range(COPIES):
            copy = root / f"{kind}_{name}_{number}"
            shutil.copytree(honest, copy)
            (copy / name).write_bytes(damage((honest / name).read_bytes(), rng))
            yield copy.name, copy if kind in ("bert", "peft") else copy / name


def build_honest(kind: str, folder: Path) -> None:
    (folder / "model.json").write_text(json.dumps(attacks.CARD))
    if kind == "torch":
        torch.save(weights(), folder / "model.pt")
    elif kind == "safetensors":
        attacks.ATTACKS["safetensors_good"].build(folder, folder)
    elif kind == "skops":
        skops_file(folder, lambda schema: None)
    elif kind == "bert":
        attacks.build_quietly(lambda: tiny_bert(folder))
    else:
        attacks.build_quietly(lambda: adapter(folder))


def test_damaged_copies_are_loaded_or_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "attacks", "attack_job:load_all")
    monkeypatch.syspath_prepend(str(HERE))
    paths = {name: str(path) for name, path in copies(tmp_path)}
    outcomes = run_job("attacks", {"paths": paths}, jail=False, seconds=300, memory_gb=6)
    del outcomes["jail"]
    escaped = {name: outcome for name, outcome in outcomes.items() if outcome["error"] not in (None, "OgaError")}
    assert escaped == {}
    assert sum(outcome["error"] == "OgaError" for outcome in outcomes.values()) > len(paths) / 2
    assert max(outcome["rss_mb"] for outcome in outcomes.values()) < 1500
    assert max(outcome["seconds"] for outcome in outcomes.values()) < 20
