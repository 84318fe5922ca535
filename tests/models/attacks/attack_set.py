"""Model files that attack whoever opens them, built from scratch and without a network.

Every payload, if it ran, would write the marker file. `ATTACKS` names for each file what its refusal must say; a `None`
means that the file loads and its payload stays asleep.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import attacks_huggingface
import attacks_limits
import attacks_other
import attacks_peft
import attacks_records
import attacks_safetensors
import attacks_torch
from attack_files import ATTACKS, CARD, build_quietly

REGISTERED = (
    attacks_torch,
    attacks_safetensors,
    attacks_huggingface,
    attacks_peft,
    attacks_limits,
    attacks_other,
    attacks_records,
)


def build(name: str, folder: Path, marker: Path) -> Path:
    """Build one attack in a fresh folder, with a model card beside it where the format needs one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = build_quietly(lambda: ATTACKS[name].build(folder, marker))
    if path.is_file() and path.suffix != ".skops":
        path.with_suffix(".json").write_text(json.dumps(CARD))
    return path
