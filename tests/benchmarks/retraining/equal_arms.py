"""How often `oga verify` says that two equal arms do not differ; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/retraining/equal_arms.py [--repeats N] [--seeds N]

The two arms trim as many samples of a fresh draw of data at random, so that neither is better. Heads are trained and
judged as `oga verify --depth head` does it, on clean samples and on a held-out fifth. Nine in ten is what a 90 %
interval promises.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.retrain.arms import HELD_OUT_SHARE, NOTHING_CHANGED, TRIMMED, Arm, stratified_split
from oga_core.retrain.comparison import compare
from oga_core.retrain.training import fit_head, head_logits
from oga_core.retrain.trials import Trial, classified

N_SAMPLES, N_CLEAN, WIDTH, N_CLASSES, WRONG = 600, 400, 8, 3, 0.2
TRIM, DRAWN, PENALTY = 0.15, 0.9, 1e-2


def drawn(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features, true and given labels of overlapping classes, some labels wrong."""
    true = rng.integers(N_CLASSES, size=N_SAMPLES + N_CLEAN)
    centres = rng.normal(size=(N_CLASSES, WIDTH))
    features = (centres[true] + rng.normal(size=(len(true), WIDTH))).astype(np.float32)
    given = np.where(rng.random(len(true)) < WRONG, rng.integers(N_CLASSES, size=len(true)), true)
    return features, true, given


def repeat(rng: np.random.Generator, seeds: int, held_out: bool) -> str:
    """What a comparison of two equal arms says."""
    features, true, given = drawn(rng)
    features_of = torch.from_numpy(features)
    trials: list[Trial] = []
    for seed in range(seeds):
        share = HELD_OUT_SHARE if held_out else 1 - DRAWN
        training, left = stratified_split(given[:N_SAMPLES], share, seed)
        judged = left if held_out else np.arange(N_SAMPLES, len(true))
        truth = given[judged] if held_out else true[judged]
        unchanged: Trial = {}
        for name in (NOTHING_CHANGED, TRIMMED):
            rows = rng.choice(training, round((1 - TRIM) * len(training)), replace=False)
            arm = Arm(name, rows, given[rows], 0)
            head = fit_head(features_of[rows], torch.from_numpy(arm.labels), N_CLASSES, PENALTY)
            logits = head_logits(features_of[judged], head).numpy()
            trial = classified(arm, seed, logits, truth, n_classes=N_CLASSES, unchanged=unchanged)
            unchanged = unchanged or trial
            trials.append(trial)
    return str(compare(trials, split=held_out)[TRIMMED]["gain"]["says"])


def main() -> None:
    """Compare many times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"repeats": options.repeats, "seeds": options.seeds}
    for name, held_out in (("clean samples", False), ("held-out samples", True)):
        rng, start = np.random.default_rng(0), time.process_time()
        words = [repeat(rng, options.seeds, held_out) for _ in range(options.repeats)]
        results[name] = {word: round(words.count(word) / len(words), 3) for word in sorted(set(words))}
        results[name]["cpu_seconds"] = round(time.process_time() - start, 1)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
