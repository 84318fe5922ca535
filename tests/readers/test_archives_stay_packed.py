"""Archives are read where they lie; what a model needs unpacked goes to the system's temporary files and away again."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from reader_sets import class_folder_members, write_tar, write_zip

from oga_core.models import load_model
from oga_core.readers import read_samples


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def arrays(path: Path) -> Path:
    np.savez(path, images=np.zeros((4, 8, 8), dtype=np.uint8), labels=np.arange(4) % 2)
    return path


ARCHIVES: dict[str, Callable[[Path], Path]] = {
    "zip": lambda folder: write_zip(folder / "set.zip", class_folder_members()),
    "tar": lambda folder: write_tar(folder / "set.tar", class_folder_members()),
    "tar.gz": lambda folder: write_tar(folder / "set.tar.gz", class_folder_members()),
    "npz": lambda folder: arrays(folder / "set.npz"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_of_data_is_never_extracted(kind: str, scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = ARCHIVES[kind](tmp_path / "data")
    samples = read_samples(path)
    assert all(samples.inputs[i] is not None for i in range(len(samples)))
    assert list(scratch.iterdir()) == []
    assert list(path.parent.iterdir()) == [path]


def test_a_zipped_model_is_unpacked_among_temporary_files_and_gone_when_loaded(scratch: Path, tmp_path: Path) -> None:
    card = {"modality": "tabular", "classes": ["a", "b"], "input": {"features": ["x", "y", "z"]}}
    torch.save({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, tmp_path / "linear.pt")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.write(tmp_path / "linear.pt", "linear.pt")
        archive.writestr("linear.json", json.dumps(card))
    before = set(tmp_path.iterdir())
    assert load_model(tmp_path / "model.zip").card.classes == ("a", "b")
    assert set(tmp_path.iterdir()) == before
    assert list(scratch.iterdir()) == []
