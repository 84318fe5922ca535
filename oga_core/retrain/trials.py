"""What one training of one arm says, and the trainings that an unfinished comparison has behind it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.numerics import softmax
from oga_core.retrain.arms import Arm

Trial = dict[str, Any]
EVIDENCE = "evidence"
"""What the other arms of a seed are compared with, kept with the trial of the unchanged one."""


def classified(
    arm: Arm, seed: int, logits: NDArray[np.float32], truth: NDArray[np.int64], *, n_classes: int, unchanged: Trial
) -> Trial:
    """Return a trial of a classifier: accuracies, loss, and the paired comparison with the unchanged arm's trial.

    logits: `(n_judged, n_classes)`. unchanged: empty for the unchanged arm itself.
    """
    right = logits.argmax(axis=1) == truth
    of_class = class_accuracies(right, truth, n_classes)
    chances = softmax(logits)[np.arange(len(truth)), truth]
    reference = _right(unchanged, len(truth)) if unchanged else right
    trial = {
        "arm": arm.name,
        "seed": seed,
        "n_train": len(arm.rows),
        "n_relabelled": arm.n_relabelled,
        "n_judged": len(truth),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.nanmean(of_class)),
        "loss": float(-np.log(np.maximum(chances, 1e-12)).mean()),
        "of_class": [None if np.isnan(share) else round(float(share), 4) for share in of_class],
        "only_this_right": int((right & ~reference).sum()),
        "only_unchanged_right": int((reference & ~right).sum()),
    }
    return trial if unchanged else {**trial, EVIDENCE: base64.b64encode(np.packbits(right).tobytes()).decode()}


def class_accuracies(right: NDArray[np.bool_], truth: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Share that is right among the samples of each class, `(n_classes,)`, NaN for one without any."""
    counts = np.bincount(truth, minlength=n_classes)
    hits = np.bincount(truth, weights=right, minlength=n_classes)
    return np.divide(hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def spoken(arm: Arm, seed: int, losses: NDArray[np.float64], unchanged: Trial) -> Trial:
    """Return a trial that is judged by losses or errors: their mean, and how they differ from the unchanged arm's.

    losses: `(n_judged,)`. unchanged: that arm's trial, empty for itself.
    """
    reference = np.array(unchanged[EVIDENCE]) if unchanged else losses
    trial = {
        "arm": arm.name,
        "seed": seed,
        "n_train": len(arm.rows),
        "n_relabelled": arm.n_relabelled,
        "n_judged": len(losses),
        "loss": float(losses.mean()),
        "difference_std": float((reference - losses).std()),
    }
    return trial if unchanged else {**trial, EVIDENCE: losses.tolist()}


def _right(unchanged: Trial, count: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(unchanged[EVIDENCE]), dtype=np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)


def without_evidence(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials without what only other trials need."""
    return [{name: value for name, value in trial.items() if name != EVIDENCE} for trial in trials]


class UnfinishedTrials:
    """A file with one line a trial, on disk before the next training begins: a crash or a kill costs none of them.

    It is of one comparison, named by its arguments and the state of the files that it reads; another one begins anew.
    """

    def __init__(self, folder: Path, arguments: Mapping[str, Any], files: Iterable[Path]):
        states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
        text = json.dumps([dict(arguments), states], sort_keys=True)
        self.path = folder / "verify_trials.jsonl"
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self.trials = self._read()
        lines = [json.dumps(each) for each in (self.key, *self.trials)]
        write_whole(self.path, lambda path: path.write_text("\n".join(lines) + "\n", encoding="utf-8"))

    def append(self, trial: Trial) -> None:
        """Write a trial to disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trial) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget the trials, once what they say is written."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[Trial]:
        """The trials before the first line that is not whole."""
        trials: list[Trial] = []
        try:
            key, *lines = self.path.read_text(encoding="utf-8").splitlines() or [""]
            if json.loads(key) != self.key:
                return []
            for line in lines:
                trial = json.loads(line)
                if not isinstance(trial, dict) or not {"arm", "seed"} <= trial.keys():
                    break
                trials.append(trial)
        except (OSError, ValueError, RecursionError):
            return trials
        return trials
