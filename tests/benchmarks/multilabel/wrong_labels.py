"""How well dropped and added labels are found among several a sample, against the loss and cleanlab.

Run: python tests/benchmarks/multilabel/wrong_labels.py [--seeds 2 3] [--sets …]

Seed 0 chose the constants. cleanlab ranks by its multilabel scores of five-fold probabilities (logistic regressions on
the inputs). Prints JSON: average precision of single labels and of samples (any label wrong), and the estimated share
of wrong labels beside the true one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
from label_sets import NOISES, SETS, LabelSet, make_set
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict
from sklearn.multiclass import OneVsRestClassifier

from oga_core.scores.multilabel.evidence import wrong_labels


def measured(labels: LabelSet) -> dict[str, float]:
    """Average precision by cells and by samples of every way to rank, and the estimated share."""
    found = wrong_labels(labels.sketch)
    logits = np.asarray(labels.sketch.outputs, dtype=np.float64)
    loss = np.logaddexp(0, np.where(labels.given, -logits, logits))
    rivals = {"oga": found.probability, "loss": loss, "cleanlab": 1 - cleaned(labels)}
    result = {}
    for name, cells in rivals.items():
        result[f"{name}_cells"] = float(average_precision_score(labels.wrong.ravel(), cells.ravel()))
        result[f"{name}_samples"] = float(average_precision_score(labels.wrong.any(axis=1), cells.max(axis=1)))
    return {**result, "estimated": found.wrong, "true": float(labels.wrong.mean())}


def cleaned(labels: LabelSet) -> NDArray[np.float64]:
    """cleanlab's quality of every label, 1 = right, from five-fold probabilities."""
    from cleanlab.internal.multilabel_scorer import ClassLabelScorer

    model = OneVsRestClassifier(LogisticRegression(max_iter=300))
    probabilities = cross_val_predict(model, labels.inputs, labels.given.astype(int), method="predict_proba", cv=5)
    columns = [
        ClassLabelScorer.SELF_CONFIDENCE(
            labels.given[:, label].astype(int), np.stack([1 - probabilities[:, label], probabilities[:, label]], axis=1)
        )
        for label in range(labels.given.shape[1])
    ]
    return np.stack(columns, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    arguments = parser.parse_args()
    folder = Path(os.environ.get("OGA_SHARED_DATA", "../shared/data"))
    cells = []
    for seed, name, noise in itertools.product(arguments.seeds, arguments.sets, NOISES):
        found = measured(make_set(folder, name, noise, seed))
        print(name, noise, seed, {key: round(value, 3) for key, value in found.items()}, file=sys.stderr)
        cells.append({"set": name, "noise": noise, "seed": seed, **found})
    names = [name for name in cells[0] if name not in ("set", "noise", "seed")]
    means = {name: round(float(np.mean([cell[name] for cell in cells])), 3) for name in names}
    print(json.dumps({"cells": cells, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
