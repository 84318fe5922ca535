"""Every hostile data and model file of the tests, as attacks that one command can try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attack_set
import data_attacks
import pt2_attacks
import pt2_malformed
import torch
from attack_process import Attack

from oga_core.models import load_model
from oga_core.models.pt2.reader import read_pt2
from oga_core.readers import read_samples

PT2_INPUT = torch.ones(3, 1, 4, 4)
MOST_DECODED = 8  # samples of a set that are decoded; the attacks lie in the first


def all_attacks() -> Iterator[Attack]:
    """Yield the attacks, named by what they are: data, model, pt2."""
    for name, (build, _) in {**data_attacks.REFUSED, **data_attacks.UNREADABLE}.items():
        yield Attack(f"data: {name}", _data_builder(build), _read, True)
    for name, model in attack_set.ATTACKS.items():
        yield Attack(f"model: {name}", _model_builder(name), load_model, model.refused is not None)
    pt2_attacks.benign()  # exported once, before each attack is built in a copy of this process
    for name, (write, _) in pt2_attacks.ATTACKS.items():
        yield Attack(f"pt2: {name}", _pt2_builder(write), _run_pt2, False)
    for name, (break_file, _) in pt2_malformed.MALFORMED.items():
        yield Attack(f"pt2: {name}", _pt2_builder(lambda path, _, make=break_file: make(path)), _run_pt2, True)


def _data_builder(build: Callable[[Path], Path]) -> Callable[[Path, Path], Path]:
    def make(folder: Path, marker: Path) -> Path:
        path = build(folder)
        marker.unlink(missing_ok=True)
        return path

    return make


def _model_builder(name: str) -> Callable[[Path, Path], Path]:
    return lambda folder, marker: attack_set.build(name, folder, marker)


def _pt2_builder(write: Callable[[Path, Path], object]) -> Callable[[Path, Path], Path]:
    def make(folder: Path, marker: Path) -> Path:
        write(folder / "model.pt2", marker)
        return folder / "model.pt2"

    return make


def _read(path: Path) -> None:
    labels = Path("labels.csv")
    samples = read_samples(path, labels=labels if labels.exists() else None)
    for i in range(min(len(samples), MOST_DECODED)):
        samples.inputs[i]


def _run_pt2(path: Path) -> None:
    module, _ = read_pt2(path)
    module(PT2_INPUT)
