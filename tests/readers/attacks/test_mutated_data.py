"""Damaged copies of a data set in every format: they read, or say what is wrong; nothing else comes out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from reader_sets import CASES

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.samples import UnreadableSample

N_COPIES = int(os.environ.get("OGA_MUTATIONS", "6"))


@pytest.mark.parametrize("name", CASES)
def test_damaged_files_give_only_our_errors(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    files = [case.path] if case.path.is_file() else sorted(file for file in case.path.rglob("*") if file.is_file())
    random = np.random.default_rng(len(name))
    for _ in range(N_COPIES):
        file = files[random.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 6)):
            place, length = int(random.integers(len(damaged) + 1)), int(random.integers(1, 9))
            damaged[place : place + length] = random.bytes(length) if random.random() < 0.8 else b""
        file.write_bytes(damaged[: random.integers(len(damaged) + 1)] if random.random() < 0.1 else damaged)
        with suppress(OgaError):
            read_everything(case.path, case.options)
        file.write_bytes(whole)


def read_everything(path: Path, options: dict[str, object]) -> None:
    samples = read_samples(path, **options)
    for i in range(len(samples)):
        for sequence in (samples.inputs, samples.rows):
            with suppress(UnreadableSample):
                sequence[i]
