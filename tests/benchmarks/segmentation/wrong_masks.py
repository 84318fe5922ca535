"""How well damaged masks are found, against the model's loss and cleanlab's semantic segmentation.

Run: python tests/benchmarks/segmentation/wrong_masks.py [--seeds 3] [--epochs 12 25] [--work FOLDER]

300 canvases of scikit-learn's digits, a tenth of whose masks is damaged: an object of another class, an object left
out, the mask moved, or every object too large. A small network is trained on them, once until it fits them roughly (12
epochs) and once well (25). That losses are compared with those of their like, the windows and the share of them that
counts were chosen with seed 1 in view, that gradients are a witness too with seeds 1, 2 and 4, nothing with seed 3.
Prints JSON: average precision of every score, of cleanlab's softmin and of the mean loss of the worst 5 % of the
pixels, which no run has, by damage too; and the estimated share of wrong masks beside the true one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

sys.path.insert(0, str(Path(__file__).parents[2] / "runs"))
sys.path.insert(0, str(Path(__file__).parents[2] / "segmentation"))

from here import score_here
from mask_runs import members_of, write_zip
from mask_sets import DAMAGES, KINDS, MaskSet, digits
from small_unet import SmallUNet, trained

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

Numbers = NDArray[np.float64]
SCORES = ("oga", "loss", "l1_norm_all", "l2_norm_all", "isolation_forest_sketch", "self_trak")
WORST = 0.05


def scored(data: MaskSet, model: SmallUNet, folder: Path) -> RunFolder:
    """Write images and masks, package the network and score them."""
    archive = write_zip(folder / "canvases.zip", members_of(data, palette=False))
    classes = ["background", *map(str, range(KINDS))]
    example = torch.rand(2, 1, *data.images.shape[1:])
    path = package_model(model, example, folder / "m.pt2", classes=classes, loss="pixel_cross_entropy")
    return score_here(archive, path, folder / "run", ScoreOptions(map="none", scores=SCORES))


def measured(data: MaskSet, model: SmallUNet, folder: Path) -> dict[str, float]:
    """Average precision of every way to rank masks, by damage too."""
    run = scored(data, model, folder)
    ways: dict[str, Numbers] = {name: run.table[f"score_{name}"].to_numpy() for name in SCORES}
    probabilities = predicted(data, model)
    ways["cleanlab"] = 1 - cleaned(data, probabilities)
    ways["worst_pixels"] = worst_pixels(data, probabilities)
    result = {}
    for name, values in ways.items():
        result[name] = average_precision_score(data.wrong, values)
        for damage in DAMAGES:
            some = (data.damage == damage) | ~data.wrong
            result[f"{name}_{damage}"] = average_precision_score(data.wrong[some], values[some])
    assert run.info.noise_rate is not None
    found = (run.table["finding"] != "none").to_numpy()
    result |= {"estimated": run.info.noise_rate.rate, "true": data.wrong.mean(), "pixels": accuracy(run)}
    result |= {"findings": found.sum(), "precision": data.wrong[found].mean() if found.any() else 0.0}
    return {name: round(float(value), 3) for name, value in result.items()}


def accuracy(run: RunFolder) -> float:
    """The share of the given pixels that the model predicts."""
    return float(run.info.model_accuracy_on_given_labels or 0.0)


def predicted(data: MaskSet, model: SmallUNet) -> Numbers:
    """Probabilities `(n, n_classes, side, side)`."""
    images = torch.from_numpy(data.images[:, None] / np.float32(255))
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(100)])
    return logits.double().softmax(dim=1).numpy()


def cleaned(data: MaskSet, probabilities: Numbers) -> Numbers:
    """cleanlab's quality of every mask, 1 = right."""
    from cleanlab.segmentation.rank import get_label_quality_scores

    qualities, _ = get_label_quality_scores(data.given.astype(np.int64), probabilities, verbose=False)
    return np.asarray(qualities, dtype=np.float64)


def worst_pixels(data: MaskSet, probabilities: Numbers) -> Numbers:
    """The mean loss of the worst pixels of each mask."""
    given = np.take_along_axis(probabilities, data.given[:, None].astype(np.int64), axis=1).reshape(len(data.given), -1)
    losses = np.sort(-np.log(np.maximum(given, 1e-12)), axis=1)
    return losses[:, -int(WORST * losses.shape[1]) :].mean(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[12, 25])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "oga-masks")
    arguments = parser.parse_args()
    cells = []
    for seed in arguments.seeds:
        data = digits(seed)
        for epochs in arguments.epochs:
            folder = arguments.work / f"{seed}_{epochs}"
            folder.mkdir(parents=True, exist_ok=True)
            cells.append({"seed": seed, "epochs": epochs, **measured(data, trained(data, seed, epochs), folder)})
            print(cells[-1], file=sys.stderr)
    means = {name: round(float(np.mean([cell[name] for cell in cells])), 3) for name in cells[0]}
    print(json.dumps({"cells": cells, "mean": {name: means[name] for name in means if name not in ("seed", "epochs")}}))


if __name__ == "__main__":
    main()
