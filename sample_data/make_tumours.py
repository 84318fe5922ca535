"""Tabular: scikit-learn's breast cancer measurements, 8 % of the diagnoses flipped.

Writes tumours.csv, tumours_truth.csv and tumours.pt2. Run: python sample_data/make_tumours.py
"""

from __future__ import annotations

import csv

import numpy as np
import torch
from noise import FOLDER, SEED, flip_labels, train, write_truth
from sklearn.datasets import load_breast_cancer
from torch import nn

from oga_core import package_model

CLASSES = ["malignant", "benign"]
NOISE = 0.08


def main() -> None:
    """Write data, truth and model."""
    torch.manual_seed(SEED)
    tumours = load_breast_cancer()
    features = [name.replace(" ", "_") for name in tumours.feature_names]
    given = flip_labels(tumours.target.astype(np.int64), len(CLASSES), NOISE)
    ids = [f"tumour-{i:03d}" for i in range(len(given))]
    with open(FOLDER / "tumours.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *features, "diagnosis"])
        for sample_id, values, label in zip(ids, tumours.data, given, strict=True):
            writer.writerow([sample_id, *(f"{value:g}" for value in values), CLASSES[label]])
    write_truth("tumours", ids, [CLASSES[label] for label in tumours.target])

    mean, std = tumours.data.mean(axis=0), tumours.data.std(axis=0)
    inputs = torch.from_numpy((tumours.data - mean) / std).float()
    model = nn.Sequential(nn.Linear(len(features), 32), nn.ReLU(), nn.Linear(32, len(CLASSES)))
    train(model, lambda rows: model(inputs[rows]), given, epochs=15, learning_rate=5e-3)
    card = {"features": features, "mean": mean.round(6).tolist(), "std": std.round(6).tolist()}
    package_model(model, inputs[:2], FOLDER / "tumours.pt2", classes=CLASSES, modality="tabular", input=card)


if __name__ == "__main__":
    main()
