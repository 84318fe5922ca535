"""Which training rows made a language model say it? Two experiments on DataInf's three sets (arXiv 2310.00902).

Run: OMP_NUM_THREADS=1 python tests/benchmarks/answers/retrieval.py [--sets …] [--experiments …] [--queries N]
     [--methods …] [--shares …] [--size small]

A Llama of 2 M parameters (`--size small`: 0.4 M) learns half of the rows of both files, then LoRA adapters are tuned on
the other half's responses, all on the CPU.

groups: for each test row, how well the training rows of its own group come first: mean AUC, and the share of the
group among as many rows as the group has (recall). By signed and by absolute score; gradients whole and as sketches of
several sizes; BM25 and hidden states beside. The group forest learns each group of the training rows by its label: it
is classification with known groups, and says nothing about influence.

removal: for each query (a test row) the adapters are tuned again, same start, order and steps, without the top share of
rows by each method, and without as many at random. Printed is what the query's loss gains, the mean over the queries
with a 90 % interval (bootstrap over queries), and the difference from random and from BM25, query by query.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from small_llama import (
    SETS,
    SIZES,
    losses_of,
    make_base,
    make_tokenizer,
    rows_of,
    samples_of,
    task_of,
    tune,
    with_adapter,
)

from oga_core.ask.influence import Influence
from oga_core.ask.methods import METHODS
from oga_core.ask.words import WordIndex
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.factors.factor import canonical
from oga_core.gradients.factors.sketching import Sketcher
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet
from oga_core.tasks import Task

Floats = NDArray[np.float64]
SKETCHES = (512, 4096)
SHARES = (0.01, 0.02, 0.05)
RESAMPLES = 2000


class Setting:
    """One set: the tuned model, its training and test rows, and their gradients, whole."""

    def __init__(self, name: str, base: Any, tokenizer: Any, folder: Path, epochs: int, seed: int):
        self.training = samples_of(rows_of(name, "train")[1::2], folder, f"{name}_train")
        self.test = samples_of(rows_of(name, "test"), folder, f"{name}_test")
        self.task: Task = task_of(tokenizer)
        self.epochs, self.seed = epochs, seed
        self.start = with_adapter(copy.deepcopy(base), seed)
        self.before = float(losses_of(self.start, self.task, self.test).mean())
        self.model = self.tuned()
        self.after = float(losses_of(self.model, self.task, self.test).mean())
        self.shapes = [tuple(p.shape) for p in self._parameters().values()]
        self.sketches = [self._gradients(samples, folder) for samples in (self.training, self.test)]
        texts = [[row["prompt"] + row["completion"] for row in samples.rows] for samples in (self.training, self.test)]
        index = WordIndex(texts[0])
        self.by_words: Floats = np.array([index.bm25(text) for text in texts[1]])

    def tuned(self, without: NDArray[np.int64] | None = None) -> Any:
        """The adapters tuned from the same start in the same order, without some rows."""
        model = copy.deepcopy(self.start)
        tune(model, self.task, self.training, epochs=self.epochs, seed=self.seed, without=without)
        return model

    def influences(self, dim: int | None) -> dict[str, Floats]:
        """Scores of the training rows for the test rows, `(n_test, n_train)`, by method; whole gradients by default."""
        training, test = self.sketches
        if dim is not None:
            training, test = (self._sketched(sketch, dim) for sketch in self.sketches)
        influence = Influence(training, lambda: self.shapes)
        queries = np.array(test.sketch if test.gradients is None else test.gradients)
        names = [name for name in METHODS if dim is None or name != "ekfac"]
        return {name: influence(queries, name).astype(np.float64) for name in names}

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        return choose_parameters(self.model, "lora")

    def _gradients(self, samples: SampleSet, folder: Path) -> GradientSketch:
        options = PassOptions(parameters="lora", whole_parameters=10**7, device="cpu", exact_l2=False)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            sketch = gradient_pass(self.task, self.model, samples, folder=Path(place), options=options).sketch
            return sketch.take(np.arange(len(samples)))

    def _sketched(self, sketch: GradientSketch, dim: int) -> GradientSketch:
        """The sketch that a pass with this size would have left."""
        sketcher, start = Sketcher(dim, 0), 0
        whole = torch.from_numpy(np.array(sketch.gradients))
        result = torch.zeros(len(whole), dim)
        for (name, parameter), shape in zip(self._parameters().items(), self.shapes, strict=True):
            part = whole[:, start : start + parameter.numel()].reshape(len(whole), *canonical(shape))
            sketcher.fold(result, name, sketcher.gradient(name, part))
            start += parameter.numel()
        return GradientSketch(sketch.given_labels, sketch.losses, result.numpy())


def found(scores: Floats, same: NDArray[np.bool_]) -> dict[str, float]:
    """Mean AUC and recall of each test row's own group."""
    from sklearn.metrics import roc_auc_score

    auc = [roc_auc_score(own, row) for own, row in zip(same, scores, strict=True)]
    recall = [own[np.argsort(-row, kind="stable")[: own.sum()]].mean() for own, row in zip(same, scores, strict=True)]
    return {"auc": round(float(np.mean(auc)), 3), "recall": round(float(np.mean(recall)), 3)}


def groups_table(setting: Setting) -> dict[str, dict[str, float]]:
    """Every method's figures by name."""
    names = [np.array([row["group"] for row in samples.rows]) for samples in (setting.training, setting.test)]
    same = names[1][:, None] == names[0]
    table = {}
    for dim in (None, *SKETCHES):
        place = "whole" if dim is None else f"sketch {dim}"
        for method, scores in setting.influences(dim).items():
            table[f"{method}, {place}"] = found(scores, same)
            table[f"|{method}|, {place}"] = found(np.abs(scores), same)
    states = [np.asarray(sketch.response_means, dtype=np.float64) for sketch in setting.sketches]
    unit = [
        part / np.linalg.norm(part, axis=1, keepdims=True) for part in (each - states[0].mean(0) for each in states)
    ]
    table["hidden states, mean of the response"] = found(unit[1] @ unit[0].T, same)
    table["words (BM25)"] = found(setting.by_words, same)
    table["classification with known groups (a forest each)"] = found(_forests(setting, names[0]), same)
    return table


def _forests(setting: Setting, groups: NDArray[np.str_]) -> Floats:
    """How ordinary a test row's gradient is among those of each training row's group."""
    from sklearn.ensemble import IsolationForest

    training, test = (np.asarray(sketch.gradients) for sketch in setting.sketches)
    scores = np.zeros((len(test), len(training)))
    for group in np.unique(groups):
        forest = IsolationForest(random_state=0).fit(training[groups == group])
        scores[:, groups == group] = forest.score_samples(test)[:, None]
    return scores


def removal_table(
    setting: Setting, queries: NDArray[np.int64], shares: Sequence[float], names: Sequence[str], seed: int
) -> dict[str, Any]:
    """What each query's loss gains without the top rows of each method in `names`, and of BM25."""
    influences = setting.influences(None)
    methods = {**{name: influences[name] for name in names}, "bm25": setting.by_words}
    random = np.random.default_rng(seed)
    reference = losses_of(setting.model, setting.task, setting.test)
    table: dict[str, Any] = {}
    for share in shares:
        count = max(1, round(share * len(setting.training)))
        gains: dict[str, list[float]] = {name: [] for name in (*methods, "random")}
        for query in queries:
            chosen = {name: np.argsort(-scores[query], kind="stable")[:count] for name, scores in methods.items()}
            chosen["random"] = random.choice(len(setting.training), count, replace=False)
            for name, rows in chosen.items():
                losses = losses_of(setting.tuned(rows), setting.task, setting.test.take(np.array([query])))
                gains[name].append(float(losses[0] - reference[query]))
            latest = {name: round(values[-1], 3) for name, values in gains.items()}
            print(f"{share:.0%}, query {query}: {json.dumps(latest)}", file=sys.stderr, flush=True)
        table[f"{share:.0%}"] = {name: _described(gains, name, seed) for name in gains}
    return table


def _described(gains: dict[str, list[float]], name: str, seed: int) -> dict[str, Any]:
    own = np.array(gains[name])
    row: dict[str, Any] = {"gain": _interval(own, seed)}
    for other in ("random", "bm25"):
        if name != other:
            row[f"over {other}"] = _interval(own - np.array(gains[other]), seed)
    return row


def _interval(values: Floats, seed: int) -> list[float]:
    """Mean and the bounds of its 90 % interval."""
    draws = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    return [round(float(number), 4) for number in (values.mean(), *np.quantile(draws, [0.05, 0.95]))]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return work(), round(time.process_time() - start, 1)


def main() -> None:
    """Train, take gradients, compare, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--experiments", nargs="+", default=["groups", "removal"], choices=["groups", "removal"])
    parser.add_argument("--size", default="whole", choices=list(SIZES))
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), help="whose rows go")
    parser.add_argument("--epochs", type=int, default=4, help="of both trainings")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    learnt = [row["prompt"] + row["completion"] for name in SETS[:2] for row in rows_of(name, "train")[::2]]
    tokenizer = make_tokenizer(learnt)
    base, seconds = timed(lambda: make_base(learnt, tokenizer, options.size, epochs=options.epochs, seed=options.seed))
    result: dict[str, Any] = {"parameters": sum(p.numel() for p in base.parameters()), "base_cpu_seconds": seconds}
    for name in options.sets:
        with tempfile.TemporaryDirectory() as folder:
            setting = Setting(name, base, tokenizer, Path(folder), options.epochs, options.seed)
            result[name], seconds = timed(partial(experiments, setting, options))
            result[name]["cpu_seconds"] = seconds
            print(json.dumps({name: result[name]}), file=sys.stderr, flush=True)
    print(json.dumps(result, indent=1))


def experiments(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for of one set."""
    row: dict[str, Any] = {"loss_before": round(setting.before, 3), "loss_after": round(setting.after, 3)}
    if "groups" in options.experiments:
        row["groups"] = groups_table(setting)
    if "removal" in options.experiments:
        queries = np.random.default_rng(options.seed).choice(len(setting.test), options.queries, replace=False)
        row["removal"] = removal_table(setting, queries, options.shares, options.methods, options.seed)
    return row


if __name__ == "__main__":
    main()
