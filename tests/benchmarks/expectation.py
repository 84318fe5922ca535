"""How often the 90 % intervals of `oga_core.threshold.expectation` cover the truth, as JSON.

Simulated scores of many shapes, and the shared photographs with real label noise, reviewed in four ways:
as the dashboard proposes, at random, half from the top of the list, and from the top only. With `--calibration`
instead, before any verdict: ten bins of the probability that a label is wrong, beside how often it is, on the shared
photographs and sentences, and the interval of the precision at the suggested threshold beside the truth.

With `--random` the same of the first problems of `random_sets.py`: coverage and width; with `--kind varied` or `few`
of those of `varied_sets.py`, at the threshold that the run suggests.

    python tests/benchmarks/expectation.py [--repeats 200] [--simulated-only | --random 60 [--seed 7] [--draw 0]
        [--kind random|varied|few]]
    python tests/benchmarks/expectation.py --calibration [--runs RUN=TRUTH …]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.runs.scored import ScoredRun
from oga_core.threshold.expectation import Expectation
from oga_core.threshold.ranked import RankedScores

SHARED = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
POLICIES = ("proposed", "random", "half from the top", "top")


def simulated(random: np.random.Generator) -> tuple[RankedScores, np.ndarray]:
    """Scores of good and bad samples: shifted, skewed, with outliers among the good, or with bad ones nobody sees."""
    n, rate = int(random.choice([1000, 5000, 12000])), random.choice([0.03, 0.09, 0.2, 0.4])
    distance, shape = random.choice([1.0, 1.8, 3.0]), random.integers(4)
    bad = random.random(n) < rate
    scores = random.normal(size=n)
    if shape == 0:
        scores += distance * bad
    elif shape == 1:
        scores += np.where(bad, random.gamma(2, distance / 2, size=n), 0)
    elif shape == 2:
        outlier = ~bad & (random.random(n) < 0.02)
        scores = np.where(bad, random.normal(distance, 0.4, size=n), scores + (distance + 1) * outlier)
    else:
        scores += np.where(bad & (random.random(n) < 0.8), distance + 1, 0)
    return RankedScores(scores), bad


def review(
    scores: RankedScores, bad: np.ndarray, count: int, policy: str, rate: float, random: np.random.Generator
) -> np.ndarray:
    """Positions of the samples that a simulated person looks at."""
    if policy == "top":
        return scores.order[:count]
    if policy == "random":
        return random.choice(len(scores), count, replace=False)
    if policy == "half from the top":
        return np.unique(np.r_[scores.order[: count // 2], random.choice(len(scores), count // 2, replace=False)])
    rows = np.empty(0, dtype=np.int64)
    while len(rows) < count:
        expectation = Expectation(scores, rows, bad[rows], noise_rate=rate, seed=int(random.integers(1 << 30)))
        rows = np.r_[rows, expectation.to_review(min(50, count - len(rows)))]
    return rows


def measure(draw, repeats: int, count: int, policy: str) -> dict[str, float]:
    """Coverage of the four intervals and the error of the estimated number of bad samples."""
    names = ("precision", "missed", "bad", "seen")
    hits, errors, widths = dict.fromkeys(names, 0), [], []
    for repeat in range(repeats):
        random = np.random.default_rng(repeat)
        scores, bad = draw(random)
        rate = float(np.clip(bad.mean() * np.exp(0.4 * random.normal()), 0.01, 0.6))
        rows = review(scores, bad, count, policy, rate, random)
        expectation = Expectation(scores, rows, bad[rows], noise_rate=rate, seed=repeat)
        outlook, flagged = expectation.at(rate), bad[scores.flagged(rate)]
        truth = (flagged.mean(), bad.sum() - flagged.sum(), bad.sum(), bad[rows].sum() / bad.sum())
        intervals = (outlook.precision, outlook.missed, outlook.bad, expectation.progress().seen)
        for name, value, interval in zip(names, truth, intervals, strict=True):
            hits[name] += interval.low - 1e-9 <= value <= interval.high + 1e-9
        errors.append(abs(outlook.bad.estimate - bad.sum()) / bad.sum())
        widths.append(outlook.bad.width / bad.sum())
    return {
        **{f"coverage_{name}": round(hit / repeats, 3) for name, hit in hits.items()},
        "error_of_bad_median": round(float(np.median(errors)), 3),
        "error_of_bad_above_15_percent": round(float(np.mean(np.array(errors) > 0.15)), 3),
        "width_of_bad_median": round(float(np.median(widths)), 3),
    }


def photographs(labels: str, name: str):
    """A function that draws the same real scores each time; the reviews differ."""
    folder = SHARED / "cifar10n"
    options = ScoreOptions(labels=str(folder / f"labels_{labels}.csv"), scores=(name,), map="none")
    with tempfile.TemporaryDirectory() as scratch:
        run = score(folder / "images.zip", folder / f"model_{labels}.pt2", Path(scratch) / "run", options)
        table = run.table.merge(pd.read_csv(folder / "truth.csv"), left_on="sample_id", right_on="file_name")
    bad = (table["given_label"] != table["true_label"]).to_numpy()
    scores = RankedScores(table[f"score_{name}"].to_numpy(dtype=np.float64))
    return lambda random: (scores, bad)


def bins_of(run: ScoredRun, truth: Path) -> dict[str, object]:
    """Ten bins of equal size by the probability: its mean and the share that is wrong, and their mean difference."""
    table = run.table
    fraction = run.trim_fraction()
    true = pd.read_csv(truth, dtype=str).set_index(first_column(truth))["true_label"]
    bad = (table["given_label"] != true.loc[table["sample_id"]].to_numpy()).to_numpy()
    chance = table["wrong_label_probability"].to_numpy()
    parts = np.array_split(np.argsort(chance, kind="stable"), 10)
    said, seen = ([round(float(values[part].mean()), 3) for part in parts] for values in (chance, bad))
    scores = RankedScores(table["score_oga"].to_numpy())
    nothing = np.empty(0, dtype=np.int64)
    precision = Expectation(scores, nothing, nothing.astype(bool), **run.beliefs).at(fraction).precision
    return {
        "said": said,
        "seen": seen,
        "mean_absolute_error": round(float(np.abs(np.subtract(said, seen)).mean()), 3),
        "precision_interval": [round(precision.low, 3), round(precision.high, 3)],
        "precision": round(float(bad[scores.flagged(fraction)].mean()), 3),
    }


def first_column(path: Path) -> str:
    """The first column of a CSV, which holds the ids."""
    return str(pd.read_csv(path, nrows=0).columns[0])


def calibration(runs: list[str]) -> dict[str, object]:
    """The bins of each shared set, or of runs that are scored already, given as RUN=TRUTH."""
    pairs = [tuple(map(Path, text.split("="))) for text in runs]
    with tempfile.TemporaryDirectory() as scratch:
        pairs = pairs or list(scored_sets(Path(scratch)))
        return {run.name: bins_of(ScoredRun(run), truth) for run, truth in pairs}


def random_problems(count: int, seed: int, draw: int, kind: str) -> dict[str, object]:
    """Before any verdict, on small problems drawn at random: how often the precision's interval covers, and its width.

    As many samples are flagged as the run suggests to trim, or where it suggests none as it estimates to be wrong.
    """
    from made_sets import Settings
    from random_sets import random_sets
    from varied_sets import varied_sets

    from oga_core.findings.noise import estimate_noise, suggested_trim_fraction, wrong_label_probability
    from oga_core.scores.oga import oga

    hits, widths, errors, away = [], [], [], []
    nothing = np.empty(0, dtype=np.int64)
    with tempfile.TemporaryDirectory() as cache:
        problems = random_sets(seed) if kind == "random" else varied_sets(seed, few=kind == "few")
        for made in list(problems.values())[:count]:
            problem = made(Settings(SHARED, Path(cache)), draw)
            score, noise = oga(problem.sketch), estimate_noise(problem.sketch)
            chance = wrong_label_probability(problem.sketch, score, noise.middle)
            ranked = RankedScores(score)
            fraction = suggested_trim_fraction(problem.sketch, score) or noise.rate
            flagged = problem.wrong[ranked.flagged(fraction)]
            if chance is None or not len(flagged):
                continue
            ends = (noise.low, noise.high)
            before = Expectation(ranked, nothing, nothing.astype(bool), probability=chance, noise_range=ends)
            precision = before.at(fraction).precision
            hits.append(precision.low <= flagged.mean() <= precision.high)
            widths.append(precision.width)
            away.append(abs(precision.estimate - flagged.mean()))
            parts = np.array_split(np.argsort(chance, kind="stable"), 10)
            errors.append(np.mean([abs(chance[part].mean() - problem.wrong[part].mean()) for part in parts]))
    return {
        "problems": len(hits),
        "coverage": round(float(np.mean(hits)), 3),
        "width_median": round(float(np.median(widths)), 3),
        "width_largest": round(float(np.max(widths)), 3),
        "share_whose_precision_is_over_0.15_away": round(float(np.mean(np.array(away) > 0.15)), 3),
        "mean_absolute_error_median": round(float(np.median(errors)), 3),
    }


def scored_sets(scratch: Path):
    """Score the shared photographs with both label sets, and the sentences."""
    photos, sentences = SHARED / "cifar10n", SHARED / "sst2"
    for labels in ("worse", "aggre"):
        options = ScoreOptions(labels=str(photos / f"labels_{labels}.csv"), scores=("oga",), map="none")
        run = score(photos / "images.zip", photos / f"model_{labels}.pt2", scratch / f"photographs {labels}", options)
        yield run.path, photos / "truth.csv"
    options = ScoreOptions(scores=("oga",), map="none")
    run = score(sentences / "train_flip20.csv", sentences / "model_flip20", scratch / "sentences", options)
    yield run.path, sentences / "truth.csv"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--simulated-only", action="store_true")
    parser.add_argument("--score", default="margin")
    parser.add_argument("--calibration", action="store_true")
    parser.add_argument("--random", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=7, help="of the random problems; 1007 was learnt from")
    parser.add_argument("--draw", type=int, default=0, help="of each random problem")
    parser.add_argument("--kind", default="random", choices=("random", "varied", "few"), help="of random problems")
    parser.add_argument("--runs", nargs="+", default=[], metavar="RUN=TRUTH")
    options = parser.parse_args()
    if options.random:
        print(json.dumps(random_problems(options.random, options.seed, options.draw, options.kind), indent=1))
        return
    if options.calibration:
        print(json.dumps(calibration(options.runs), indent=1))
        return
    sources = {"simulated": simulated}
    if not options.simulated_only and (SHARED / "cifar10n").is_dir():
        sources |= {f"photographs {labels}": photographs(labels, options.score) for labels in ("worse", "aggre")}
    result = {
        f"{source}, {count} decisions, {policy}": measure(draw, options.repeats, count, policy)
        for source, draw in sources.items()
        for count in (50, 300)
        for policy in POLICIES
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
