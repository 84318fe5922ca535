"""How well wrong numbers are found in tables, against the model's residual and cleanlab.

Run: python tests/benchmarks/regression/wrong_numbers.py [--seeds 2] [--tables diabetes] [--shares 0.15] [--memorised]
     [--cleanlab] [--clean]

Tables with 5 and 15 % of the numbers made wrong in three ways, each under one trained network. Seeds 0 to 2 chose the
constants. cleanlab's CleanLearning takes five folds of gradient-boosted trees, its own default being a straight line.
--clean adds what the other columns alone tell: residuals of a ridge and of a forest that learn the true numbers of the
other four folds, which nobody has.
Prints JSON: average precision of every cell, the estimated share of wrong numbers beside the true one, whether its
interval of 90 % holds that, and the means.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from number_sets import KINDS, SHARES, TABLES, NumberSet, make_set
from sklearn.metrics import average_precision_score

from oga_core.findings.targets.numbers import mixture_of
from oga_core.scores import compute_scores

GRADIENT_SCORES = ("l1_norm", "l2_norm", "isolation_forest", "self_datainf", "self_trak")


def measured(numbers: NumberSet, *, cleanlab: bool, gradients: bool, clean: bool = False) -> dict[str, float]:
    """Average precision of every way to rank the numbers of one set, and whether the interval holds the noise rate."""
    names = ["oga", "absolute_residual", *(GRADIENT_SCORES if gradients else ())]
    scores, _ = compute_scores(numbers.sketch, names)
    if cleanlab:
        scores["cleanlab"] = cleaned(numbers)
    if clean:
        scores |= residuals_of_the_truth(numbers)
    rate = mixture_of(numbers.sketch)
    share = float(numbers.wrong.mean())
    precisions = {name: float(average_precision_score(numbers.wrong, values)) for name, values in scores.items()}
    return {**precisions, "rate": rate.rate, "true_rate": share, "covered": float(rate.low <= share <= rate.high)}


def cleaned(numbers: NumberSet) -> np.ndarray[Any, Any]:
    """1 - label quality by cleanlab's CleanLearning for regression, five folds."""
    from cleanlab.regression.learn import CleanLearning
    from sklearn.ensemble import HistGradientBoostingRegressor

    np.random.seed(0)
    learner = CleanLearning(HistGradientBoostingRegressor(max_iter=60, random_state=0), cv_n_folds=5)
    found = learner.find_label_issues(numbers.inputs.astype(np.float64), numbers.given)
    return 1 - found["label_quality"].to_numpy()


def residuals_of_the_truth(numbers: NumberSet) -> dict[str, np.ndarray[Any, Any]]:
    """How far each given number is from what a model says that learnt the true numbers of other rows, five folds."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    models = {
        "clean_ridge": RidgeCV(np.logspace(-2, 3, 10)),
        "clean_forest": RandomForestRegressor(100, min_samples_leaf=3, random_state=0),
    }
    return {
        name: np.abs(numbers.given - cross_val_predict(model, numbers.inputs, numbers.true, cv=5))
        for name, model in models.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2])
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of wrong numbers")
    parser.add_argument("--memorised", action="store_true")
    parser.add_argument("--cleanlab", action="store_true")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--clean", action="store_true")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("OGA_SHARED_DATA", "../shared/data"))
    cells = []
    for seed, table, kind, share in itertools.product(arguments.seeds, arguments.tables, KINDS, arguments.shares):
        numbers = make_set(folder, table, kind, share, seed, memorised=arguments.memorised)
        options = {name: getattr(arguments, name) for name in ("cleanlab", "gradients", "clean")}
        found = measured(numbers, **options)
        print(table, kind, share, seed, {name: round(value, 3) for name, value in found.items()}, file=sys.stderr)
        cells.append({"table": table, "kind": kind, "share": share, "seed": seed, **found})
    names = [name for name in cells[0] if name not in ("table", "kind", "share", "seed")]
    means = {name: round(float(np.mean([cell[name] for cell in cells])), 3) for name in names}
    print(json.dumps({"cells": cells, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
