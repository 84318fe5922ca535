"""What trimming by each score does to the whole network, trained anew: the paper's experiment with its controls; JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/retraining/trimmed_by.py RUN --validation CLEAN [--truth CSV]
     [--scores NAME,…] [--share SHARE] [--seeds N]

RUN is a scored run of a classifier. Every arm trains from random weights for the same steps and orders of a seed and is
judged after its last epoch, as `oga verify --depth all` does it: on all samples, without a share by each score, without
as many at random (`random`), and, with the true labels, without those that are truly wrong (`truly_wrong`). Gains are
over training on all, with 90 % intervals. (The published comparison of the paper gives the label-error baselines the
model's predictions for labels, takes the best of 100 epochs by the test set, and fixes no seed.)
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.evaluation.truth import truly_wrong
from oga_core.retrain.arms import NOTHING_CHANGED, Arm
from oga_core.retrain.comparison import compare
from oga_core.retrain.inputs import CachedInputs, Inputs
from oga_core.retrain.training import labelled, network_logits, recipe_for, train_network
from oga_core.retrain.trials import Trial, classified
from oga_core.runs.scored import ScoredRun

SCORES = "oga,isolation_forest_paper,l1_norm,l2_norm,loss,out_of_fold"
CPU = torch.device("cpu")


def trims(data: ScoredRun, options: argparse.Namespace, seed: int) -> dict[str, NDArray[np.int64]]:
    """The rows that each arm is trained without."""
    share = data.trim_fraction(options.share)
    rows = {name: data.ranked(name).flagged(share) for name in options.scores.split(",")}
    count = data.ranked(data.default_score).count(share)
    rows["random"] = np.random.default_rng([seed, 1]).choice(len(data), count, replace=False)
    if options.truth:
        rows["truly_wrong"] = np.array(truly_wrong(data.run, options.truth))
    return rows if options.controls else {name: rows[name] for name in options.scores.split(",")}


def main() -> None:
    """Train every arm with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--validation", required=True, help="clean samples that the trainings are judged on")
    parser.add_argument("--truth", type=Path, help="CSV of ids and true labels")
    parser.add_argument("--scores", default=SCORES)
    parser.add_argument("--share", type=float, help="to trim (the run's suggestion)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-controls", dest="controls", action="store_false", help="no arms but those of the scores")
    options = parser.parse_args()
    data = ScoredRun(options.run)
    inputs = Inputs(data.run, {"validation": options.validation, "device": "cpu"}, lambda message: None)
    model, task, card = inputs.model()
    samples = replace(data.run.samples, inputs=CachedInputs(data.run.samples.inputs))
    judged = inputs.validation()
    recipe = recipe_for(card.modality, len(samples))
    trials: list[Trial] = []
    for seed in range(options.seeds):
        unchanged: Trial = {}
        everything = np.arange(len(data))
        for name, trimmed in {NOTHING_CHANGED: everything[:0], **trims(data, options, seed)}.items():
            rows = np.setdiff1d(everything, trimmed)
            arm = Arm(name, rows, data.given[rows], 0)
            network = copy.deepcopy(model)
            train_network(network, task, labelled(samples, rows, arm.labels), recipe, seed=seed, device=CPU)
            logits, read = network_logits(network, task, judged, device=CPU)
            truth = judged.given_labels[read]
            trial = classified(arm, seed, logits, truth, n_classes=len(data.classes), unchanged=unchanged)
            unchanged = unchanged or trial
            trials.append(trial)
            print(json.dumps({key: trial[key] for key in ("arm", "seed", "n_train", "accuracy")}), flush=True)
    summary: dict[str, Any] = {}
    for name, arm_summary in compare(trials, split=False).items():
        gain = arm_summary["gain"]
        low, high = gain["interval_90"]
        accuracy = round(arm_summary["accuracy"]["mean"], 4)
        summary[name] = {"accuracy": accuracy, "gain": [round(value, 4) for value in (gain["mean"], low, high)]}
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
