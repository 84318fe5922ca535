"""A scored run of any size for the benchmarks of the dashboard: sentences in ten classes, a tenth mislabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from oga_core.gradient_sketch import GradientSketch
from oga_core.readers import read_samples
from oga_core.runs.folder import SCORE_PREFIX, RunFolder

N_CLASSES = 10
N_FEATURES = 8


def write_big_run(folder: Path, n: int, seed: int = 0) -> Path:
    """Write data and run folder for `n` samples unless they are there; return the run folder."""
    path = folder / f"run-{n}"
    if (path / "run.json").is_file():
        return path
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, N_CLASSES, n)
    given = np.where(rng.random(n) < 0.1, rng.integers(0, N_CLASSES, n), truth)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES)) * 3
    features = (centres[truth] + rng.normal(size=(n, N_FEATURES)) * rng.gamma(2, 0.7, (n, 1))).astype(np.float32)
    logits = (features @ centres.T - (centres**2).sum(axis=1) / 2).astype(np.float32) / 6
    losses = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - logits[np.arange(n), given]
    names = np.array([f"class {i}" for i in range(N_CLASSES)], dtype=object)
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"sentences-{n}.csv"
    ids = np.array([f"t{i:07}" for i in range(n)], dtype=object)
    text = [f"Sentence number {i}, about {name}." for i, name in enumerate(names[truth])]
    pd.DataFrame({"id": ids, "text": text, "label": names[given]}).to_csv(data, index=False)
    samples = read_samples(data)
    run = RunFolder.create(path)
    sketch = GradientSketch(
        given_labels=given, losses=losses.astype(np.float32), sketch=features, logits=logits, features=features
    )
    sketch.save(run.arrays)
    table = pd.DataFrame(
        {
            "sample_id": samples.ids.astype(str),
            "given_label": names[given],
            "predicted_label": names[logits.argmax(axis=1)],
            "given_label_probability": sketch.probabilities[np.arange(n), given],
            SCORE_PREFIX + "loss": losses,
            SCORE_PREFIX + "l2_norm": np.linalg.norm(features, axis=1),
            "map_x": features[:, 0],
            "map_y": features[:, 1],
        }
    )
    run.write_table(table)
    run.update(
        status="done",
        n_samples=n,
        classes=list(names),
        modality="text",
        default_score="loss",
        suggested_trim_fraction=0.1,
        model_accuracy_on_given_labels=float((logits.argmax(axis=1) == given).mean()),
        gradient_coverage=1.0,
        gradient_check_error=1e-7,
        seconds={"total": 1.0},
        checks=[],
        warnings=[],
        data={"path": str(data.resolve()), "options": {}, "fingerprint": samples.fingerprint, "format": "csv"},
        model={"path": None},
        options={},
    )
    return path
