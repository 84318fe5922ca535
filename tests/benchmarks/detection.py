"""How well every score finds wrong labels, and what it costs, beside cleanlab; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/detection.py [--sets GROUP,…|NAME,…]
     [--scores NAME,…] [--seeds N] [--first-seed N] [--truth] [--folds] [--data DIR] [--cache DIR] [--max-samples N]
     [--out FILE] [--table [--metric NAME]]

Groups: small (by default), random, tables, clean, rare, bundles, photographs, memorised, text, all. `random` is sixty
small problems drawn at random from data, kinds and shares of noise, and models (`random_sets.py`); `tables` are real
ones with noise of three kinds, `rare` those with one class in forty. Also what each run says of its noise, and what
trimming by it does (`trimming.py`). Per set and score: AUROC, average precision, precision at 5 %, 10 %
and the noise rate, and the share of samples rightly told apart when as many as are wrong are flagged (the paper's
accuracy of identification), each as mean and standard deviation over seeds; CPU seconds of the score and of the pass.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from made_sets import BenchmarkSet, Settings
from numpy.typing import NDArray
from random_sets import random_sets
from sets import GROUPS as NAMED_GROUPS
from sets import SETS as NAMED_SETS
from trimming import averages, overall, trimming

from oga_core.errors import OgaError
from oga_core.evaluation.truth import detection
from oga_core.numerics import softmax
from oga_core.scores import SCORES, compute_scores

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CACHE = Path(tempfile.gettempdir()) / "oga-benchmark"
FOLDS = 5
SETS = {**NAMED_SETS, **random_sets()}
GROUPS = {**NAMED_GROUPS, "random": tuple(random_sets())}
NEEDS_MORE = ("validation", "checkpoints", "validation_checkpoints")

Floats = NDArray[np.floating[Any]]


def scores_of(problem: BenchmarkSet, names: list[str], seed: int) -> Iterator[tuple[str, Floats, float]]:
    """Every named score that the set has the needs of, with its CPU seconds.

    A score that does without validation data or checkpoints but takes them comes once without and once with each,
    as `oga` and `oga+validation`.
    """
    _ = problem.sketch.logits is not None and problem.sketch.delta
    for name in names:
        for label, given in _given(name, problem):
            start = time.process_time()
            try:
                computed, _ = compute_scores(problem.sketch, [name], seed=seed, **given)
            except OgaError as error:
                print(f"  {label}: {error}", file=sys.stderr)
                continue
            yield label, computed[name], time.process_time() - start


def _given(name: str, problem: BenchmarkSet) -> Iterator[tuple[str, dict[str, Any]]]:
    """What else than the sketch a score gets, by the name it then goes by."""
    offered = {need: getattr(problem, need) for need in NEEDS_MORE}
    score = SCORES.get(name)
    needs = [need for need in (score.needs if score else ()) if need in offered]
    if all(offered[need] for need in needs):
        yield name, {need: offered[need] for need in needs}
    for use in score.uses if score else ():
        if offered.get(use):
            yield f"{name}+{use}", {use: offered[use]}


def rivals(problem: BenchmarkSet, seed: int, folds: bool) -> Iterator[tuple[str, Floats, float]]:
    """cleanlab's label quality, negated: in sample, by five heads on frozen features, by five trainings."""
    from cleanlab.rank import get_label_quality_scores

    def quality(logits: Floats, method: str) -> Floats:
        labels = np.array(problem.sketch.given_labels)
        return -get_label_quality_scores(labels, softmax(np.array(logits)).astype(float), method=method)

    logits = problem.sketch.logits
    assert logits is not None
    predictors: dict[str, Callable[[], Floats]] = {"in_sample": lambda: np.array(logits)}
    if problem.sketch.features is not None:
        predictors["heads"] = lambda: _out_of_fold(problem, seed, _head_predictor(problem))
    if folds and problem.retrain is not None:
        retrain = problem.retrain
        predictors["retrained"] = lambda: _out_of_fold(problem, seed, retrain)
    for kind, predict in predictors.items():
        start = time.process_time()
        predicted = predict()
        seconds = time.process_time() - start
        for method in ("self_confidence", "normalized_margin"):
            yield f"cleanlab_{kind}_{method}", quality(predicted, method), seconds


def _head_predictor(problem: BenchmarkSet) -> Callable[[NDArray[np.int64]], Floats]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = np.array(problem.sketch.features), np.array(problem.sketch.given_labels)

    def predict(rows: NDArray[np.int64]) -> Floats:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200)).fit(
            features[rows], labels[rows]
        )
        chances = np.full((len(labels), problem.sketch.n_classes), 1e-9)
        chances[:, model.classes_] = model.predict_proba(features)
        return np.log(np.maximum(chances, 1e-9))

    return predict


def _out_of_fold(problem: BenchmarkSet, seed: int, predict: Callable[[NDArray[np.int64]], Floats]) -> Floats:
    from sklearn.model_selection import KFold

    result = np.empty((len(problem.sketch), problem.sketch.n_classes), dtype=np.float32)
    for training, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(result):
        result[held_out] = predict(training)[held_out]
    return result


def metrics_of(wrong: NDArray[np.bool_], values: Floats) -> dict[str, float]:
    """The metrics of `oga evaluate`, and the paper's accuracy of identification."""
    metrics = {name: value for name, value in detection(wrong, np.asarray(values, float)).items() if value is not None}
    missed = wrong.sum() * (1 - metrics["p_at_noise"])
    return {**metrics, "identification": float(1 - 2 * missed / len(wrong))}


def run_set(name: str, settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """All scores of one set over its seeds."""
    build = SETS[name]
    trials: dict[str, list[dict[str, float]]] = {}
    facts: dict[str, list[float]] = {"noise_rate": [], "accuracy_on_given": [], "pass_cpu_seconds": []}
    names = options.scores or [key for key, score in SCORES.items() if score.by_default or options.truth]
    n_seeds = options.seeds or build.seeds
    noise: list[dict[str, float]] = []
    for seed in range(options.first_seed, options.first_seed + n_seeds):
        problem = build(settings, seed)
        logits = problem.sketch.logits
        assert logits is not None
        facts["noise_rate"].append(float(problem.wrong.mean()))
        facts["accuracy_on_given"].append(float((logits.argmax(axis=1) == problem.sketch.given_labels).mean()))
        facts["pass_cpu_seconds"].append(problem.pass_seconds)
        computed = [*scores_of(problem, names, seed)]
        if not options.scores:
            computed += rivals(problem, seed, options.folds)
        noise += [trimming(problem, np.asarray(v, np.float64), seed) for score, v, _ in computed if score == "oga"]
        if not problem.wrong.any():
            continue
        for score, values, seconds in computed:
            trials.setdefault(score, []).append({**metrics_of(problem.wrong, values), "cpu_seconds": seconds})
        print(f"{name}: seed {seed + 1} of {n_seeds}", file=sys.stderr)
    scores = {score: summary(members) for score, members in trials.items()}
    ranked = sorted(scores, key=lambda score: -scores[score]["ap"]["mean"])
    own = [score for score in ranked if score in SCORES and not set(SCORES[score].needs) & {*NEEDS_MORE}]
    ap = {score: scores[score]["ap"]["mean"] for score in ranked}
    return {
        "n": len(problem.wrong),
        "seeds": n_seeds,
        "noise": averages(noise),
        **{fact: round(float(np.mean(values)), 4) for fact, values in facts.items()},
        "scores_cpu_seconds": round(sum(scores[s]["cpu_seconds"]["mean"] for s in own if SCORES[s].by_default), 3),
        "best": {"any": ranked[0] if ranked else None, "without_validation_or_checkpoints": own[0] if own else None},
        "oga_behind": {
            "those without validation or checkpoints": round(max(ap[own[0]] - ap["oga"], 0.0), 4)
            if "oga" in ap
            else None,
            "any, given validation data": round(ap[ranked[0]] - ap["oga+validation"], 4)
            if "oga+validation" in ap
            else None,
        },
        "scores": {score: scores[score] for score in ranked},
    }


def summary(members: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each metric over the seeds."""
    keys = members[0]
    table = {key: np.array([member[key] for member in members]) for key in keys}
    return {
        key: {"mean": round(float(v.mean()), 4), "std": round(float(v.std(ddof=1)) if len(v) > 1 else 0.0, 4)}
        for key, v in table.items()
    }


def as_table(results: dict[str, Any], metric: str) -> str:
    """One metric of every score on every set, for reading."""
    names = sorted({score for result in results.values() for score in result["scores"]})
    sets = list(results)
    lines = [f"| {metric} | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for name in names:
        cells = [results[s]["scores"].get(name, {}).get(metric, {}).get("mean") for s in sets]
        lines.append(f"| {name} | " + " | ".join("–" if cell is None else f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sets", default="small", help=f"groups ({', '.join(GROUPS)}) or names ({', '.join(NAMED_SETS)})"
    )
    parser.add_argument(
        "--scores", type=lambda text: text.split(","), help="names (every score by default, and cleanlab)"
    )
    parser.add_argument("--seeds", type=int, help="seeds of each set (1 to 100 by set)")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="0; the weights were chosen with 0, so judge with more"
    )
    parser.add_argument("--truth", action="store_true", help="also the scores that retrain: leave-one-out, Shapley")
    parser.add_argument("--folds", action="store_true", help="also cleanlab with five trainings of the whole model")
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where trained weights are kept ({CACHE})")
    parser.add_argument("--max-samples", type=int, help="fewer samples of the shared data")
    parser.add_argument("--out", type=Path, help="file that keeps what each set gave; none of them is run again")
    parser.add_argument("--table", action="store_true", help="print a Markdown table instead of JSON")
    parser.add_argument("--metric", default="ap", help="what the table shows: ap, auroc, p_at_5pct, identification …")
    return parser.parse_args()


def main() -> None:
    """Run the chosen sets."""
    options = parsed()
    warnings.filterwarnings("ignore")
    names = [name for part in options.sets.split(",") for name in GROUPS.get(part, (part,))]
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise SystemExit(f"Unknown set {unknown[0]!r}. Choose from: {', '.join([*GROUPS, *SETS])}.")
    options.cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(options.data, options.cache, options.max_samples)
    kept = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    results = {name: kept[name] for name in names if name in kept}
    for name in names:
        if name in results:
            continue
        if name not in (*GROUPS["small"], *GROUPS["random"]) and not options.data.is_dir():
            print(f"{name}: skipped, no shared data at {options.data}", file=sys.stderr)
            continue
        results[name] = run_set(name, settings, options)
        if options.out:
            options.out.write_text(json.dumps(kept | results))
    if options.table:
        print(as_table(results, options.metric))
    else:
        several = {"mean_ap": mean_ap(results), "overall": overall(results)} if len(results) > 1 else {}
        print(json.dumps({**results, **several}, indent=1))


def mean_ap(results: dict[str, Any]) -> dict[str, float]:
    """Mean average precision over the sets of every score that all of them have, best first."""
    results = {name: result for name, result in results.items() if result["scores"]}
    named = [set(result["scores"]) for result in results.values()] or [set()]
    means = {
        score: round(float(np.mean([result["scores"][score]["ap"]["mean"] for result in results.values()])), 4)
        for score in set.intersection(*named)
    }
    return dict(sorted(means.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
