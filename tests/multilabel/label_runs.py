"""A table of several labels a row, some of them dropped, in three formats, and a network that was trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from here import score_here
from numpy.typing import NDArray
from torch import nn

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

N_ROWS = 400
FEATURES = ("a", "b", "c", "d", "e")
NAMES = ("sea", "city", "snow", "night")
Flags = NDArray[np.bool_]


def scenes(seed: int = 0) -> tuple[NDArray[np.float64], Flags, Flags]:
    """Rows, true labels, and labels of which a seventh of those that are there was dropped and a few were added."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N_ROWS, len(FEATURES)))
    true = rows @ rng.normal(size=(len(FEATURES), len(NAMES))) + 0.2 * rng.normal(size=(N_ROWS, len(NAMES))) > 0.3
    wrong = np.where(true, rng.random(true.shape) < 0.15, rng.random(true.shape) < 0.01)
    return rows, true, true ^ wrong


def trained(rows: NDArray[np.float64], given: Flags, epochs: int = 80) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(len(FEATURES), 32), nn.ReLU(), nn.Linear(32, len(NAMES)))
    x = torch.from_numpy(rows.astype(np.float32))
    y = torch.from_numpy(given.astype(np.float32))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
        optimiser.step()
    return model


def write_flags(path: Path, rows: NDArray[np.float64], given: Flags) -> Path:
    """A CSV with a column of 0 and 1 for each label."""
    lines = [",".join(["id", *FEATURES, *NAMES])]
    for i, (row, flags) in enumerate(zip(rows, given, strict=True)):
        lines.append(",".join([f"s{i}", *(f"{x:.5f}" for x in row), *(str(int(flag)) for flag in flags)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_lists(path: Path, rows: NDArray[np.float64], given: Flags) -> Path:
    """JSON lines with a list of labels."""
    with path.open("w") as file:
        for i, (row, flags) in enumerate(zip(rows, given, strict=True)):
            labels = [name for name, flag in zip(NAMES, flags, strict=True) if flag]
            content = {"id": f"s{i}", **dict(zip(FEATURES, row.round(5).tolist(), strict=True)), "tags": labels}
            file.write(json.dumps(content) + "\n")
    return path


def package(path: Path, model: nn.Module) -> Path:
    example = torch.randn(4, len(FEATURES))
    options = {"modality": "tabular", "input": {"features": list(FEATURES)}, "loss": nn.BCEWithLogitsLoss()}
    return package_model(model, example, path, classes=NAMES, **options)


def make_run(folder: Path, data: Path, model: Path, label_column: str, **options: object) -> RunFolder:
    chosen = ScoreOptions(label_column=label_column, map="pca", **options)  # type: ignore[arg-type]
    return score_here(data, model, folder / "run", chosen)
