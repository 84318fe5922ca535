"""Known label noise, and the training loop that the three scripts share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FOLDER = Path(__file__).parent
SEED = 0


def flip_labels(labels: NDArray[np.int64], n_classes: int, share: float) -> NDArray[np.int64]:
    """Give `share` of the samples another label, drawn evenly from the other classes."""
    random = np.random.default_rng(SEED)
    flipped = labels.copy()
    rows = random.choice(len(labels), size=round(share * len(labels)), replace=False)
    flipped[rows] = (labels[rows] + random.integers(1, n_classes, size=len(rows))) % n_classes
    return flipped


def write_truth(name: str, ids: Sequence[str], true_labels: Sequence[str]) -> None:
    """Write `<name>_truth.csv`, which `oga evaluate` reads."""
    with open(FOLDER / f"{name}_truth.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "true_label"])
        writer.writerows(zip(ids, true_labels, strict=True))


def train(
    model: nn.Module,
    logits_of: Callable[[Tensor], Tensor],
    labels: NDArray[np.int64],
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int = 64,
) -> None:
    """Train on the noisy labels, softly enough that the model does not memorise them; leaves it in eval mode."""
    targets = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.05)
    steps = epochs * (len(labels) // batch_size + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch_size):
            loss = nn.functional.cross_entropy(logits_of(rows), targets[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
