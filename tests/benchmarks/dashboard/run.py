"""A scored run of any size for the benchmarks of the dashboard: sentences in ten classes, a tenth mislabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oga_core.findings import WRONG_PROBABILITY
from oga_core.findings.kinds import MISLABELLED, SUGGESTED_PROBABILITY
from oga_core.gradient_sketch import GradientSketch
from oga_core.pipeline.record import write_samples
from oga_core.readers import read_samples
from oga_core.runs.folder import SCORE_PREFIX, RunFolder
from oga_core.runs.scored import NO_FINDING

N_CLASSES = 10
N_FEATURES = 8
AT_ONCE = 1_000_000
"""Samples that are made at a time: ten million whole would take 8 GB."""
NAMES = np.array([f"class {i}" for i in range(N_CLASSES)], dtype=object)


def write_big_run(folder: Path, n: int, seed: int = 0) -> Path:
    """Write data and run folder for `n` samples unless they are there; return the run folder."""
    path = folder / f"run-{n}"
    if (path / "run.json").is_file():
        return path
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES)) * 3
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"sentences-{n}.csv"
    data.unlink(missing_ok=True)
    run = RunFolder.create(path)
    blocks = [_write_block(rng, centres, part, data) for part in _parts(n)]
    columns = zip(*blocks, strict=True)
    given, losses, features, logits = map(np.concatenate, columns)
    sketch = GradientSketch(given_labels=given, losses=losses, sketch=features, logits=logits, features=features)
    sketch.save(run.arrays)
    with pq.ParquetWriter(path / "scores.parquet", _rows(sketch, slice(0, 1)).schema) as file:
        for part in _parts(n):
            file.write_table(_rows(sketch, part))
    samples = read_samples(data)
    write_samples(samples, path)
    run.update(
        status="done",
        n_samples=n,
        classes=list(NAMES),
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
    run.keep_decoded()
    return path


def _parts(n: int) -> list[slice]:
    return [slice(start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE)]


def _write_block(rng: np.random.Generator, centres: np.ndarray, part: slice, data: Path) -> tuple[np.ndarray, ...]:
    """Append rows to the data; return their given labels, losses, features and logits."""
    n = part.stop - part.start
    truth = rng.integers(0, N_CLASSES, n)
    given = np.where(rng.random(n) < 0.1, rng.integers(0, N_CLASSES, n), truth)
    features = (centres[truth] + rng.normal(size=(n, N_FEATURES)) * rng.gamma(2, 0.7, (n, 1))).astype(np.float32)
    logits = (features @ centres.T - (centres**2).sum(axis=1) / 2).astype(np.float32) / 6
    losses = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - logits[np.arange(n), given]
    text = [f"Sentence number {part.start + i}, about {name}." for i, name in enumerate(NAMES[truth])]
    rows = pd.DataFrame({"id": _ids(part), "text": text, "label": NAMES[given]})
    rows.to_csv(data, index=False, mode="a", header=part.start == 0)
    return given, losses.astype(np.float32), features, logits.astype(np.float32)


def _rows(sketch: GradientSketch, part: slice) -> pa.Table:
    """A part of the run's table."""
    given = sketch.given_labels[part]
    logits = sketch.logits[part]
    features = sketch.features[part]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    of_given = shares[np.arange(len(given)), given]
    table = pd.DataFrame(
        {
            "sample_id": _ids(part),
            "given_label": NAMES[given],
            "predicted_label": NAMES[predicted],
            "given_label_probability": of_given,
            WRONG_PROBABILITY: 1 - of_given.astype(np.float64),
            "finding": np.where(of_given < 0.5, MISLABELLED, NO_FINDING),
            "suggested_label": np.where(predicted != given, NAMES[predicted], ""),
            SUGGESTED_PROBABILITY: np.where(predicted != given, shares.max(axis=1), 0),
            "map_cluster": predicted,
            SCORE_PREFIX + "loss": sketch.losses[part],
            SCORE_PREFIX + "l2_norm": np.linalg.norm(features, axis=1),
            "map_x": features[:, 0],
            "map_y": features[:, 1],
        }
    )
    return pa.Table.from_pandas(table, preserve_index=False)


def _ids(part: slice) -> np.ndarray:
    return np.array([f"t{i:07}" for i in range(part.start, part.stop)], dtype=object)
