"""A table of numbers to predict, some of them wrong, and a network that was trained on it, as a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from here import score_here
from numpy.typing import NDArray
from torch import nn

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

N_ROWS, FEATURES = 300, ("rooms", "size", "age")


@dataclass(frozen=True, eq=False)
class NumberRun:
    """A scored run, and the prices as they should be."""

    run: RunFolder
    data: Path
    model: Path
    true: NDArray[np.float64]
    given: NDArray[np.float64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return self.given != self.true


def prices(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rows, true prices, and prices of which a tenth is wrong, half of them by a decimal slip."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N_ROWS, len(FEATURES)))
    true = np.round(200 + 40 * rows[:, 0] + 20 * np.sin(2 * rows[:, 1]) + 3 * rng.normal(size=N_ROWS), 1)
    given = true.copy()
    given[:15] = np.round(true[:15] * 10, 1)
    given[15:30] = np.round(true[15:30] + rng.choice([-90, 90], 15), 1)
    return rows, true, given


def trained(
    rows: NDArray[np.float64], given: NDArray[np.float64], *, epochs: int = 60, squeezed: bool = False
) -> nn.Module:
    """A small network of standardised prices; squeezed: it gives `(batch,)` and not `(batch, 1)`."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(len(FEATURES), 32), nn.ReLU(), nn.Linear(32, 1)]
    model = nn.Sequential(*layers, nn.Flatten(0)) if squeezed else nn.Sequential(*layers)
    x = torch.from_numpy(rows.astype(np.float32))
    y = torch.from_numpy(((given - given.mean()) / given.std()).astype(np.float32))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        optimiser.zero_grad()
        (model(x).reshape(-1) - y).square().mean().backward()
        optimiser.step()
    return model


def write_csv(path: Path, rows: NDArray[np.float64], given: NDArray[np.float64]) -> Path:
    lines = [",".join(["id", *FEATURES, "price"])]
    lines += [
        f"h{i:03d}," + ",".join(f"{x:.6f}" for x in row) + f",{price:.1f}"
        for i, (row, price) in enumerate(zip(rows, given, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def package(path: Path, model: nn.Module, given: NDArray[np.float64]) -> Path:
    loss = {"name": "mean_squared_error", "mean": float(given.mean()), "std": float(given.std())}
    example = torch.randn(4, len(FEATURES))
    return package_model(model, example, path, modality="tabular", input={"features": list(FEATURES)}, loss=loss)


def make_run(folder: Path, **options: object) -> NumberRun:
    """Score the table with the network."""
    rows, true, given = prices()
    data = write_csv(folder / "prices.csv", rows, given)
    model = package(folder / "model.pt2", trained(rows, given), given)
    chosen = ScoreOptions(label_column="price", map="pca", **options)  # type: ignore[arg-type]
    return NumberRun(score_here(data, model, folder / "run", chosen), data, model, true, given)
