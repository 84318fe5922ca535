"""Runs in shards, scored in this process, and data to share out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from here import without_workers

import oga_sample_data
from oga_core.gradients.batches import Shard
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder
from oga_core.shards.merge import merge
from oga_core.shards.scoring import score_shard

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = (SAMPLE_DATA / "tumours.csv", SAMPLE_DATA / "tumours.pt2")
OPTIONS = ScoreOptions(
    label_column="diagnosis", map="pca", scores=("loss", "l2_norm"), parameters="all", batch_size=64, seed=3
)
TIMES = {"started", "seconds", "peak_rss_mb", "process"}


def score_shards(data: Path, model: Path | None, run: Path, options: ScoreOptions, count: int, numbers=None) -> None:
    """Take the passes of some shards of a run, of all in the beginning, the last one first."""
    with without_workers():
        for number in numbers or range(count, 0, -1):
            score_shard(data, model, run, options, Shard(number, count))


def merged(data: Path, model: Path | None, run: Path, options: ScoreOptions, count: int) -> RunFolder:
    score_shards(data, model, run, options, count)
    return merge(run)


def files_of(run: RunFolder) -> set[Path]:
    """All files but what only says that a pass with other weights need not be taken again."""
    files = {path.relative_to(run.path) for path in run.path.rglob("*") if path.is_file()}
    return files - {Path("checkpoint_000") / "progress.json"}


def assert_same_run(one: RunFolder, other: RunFolder) -> None:
    """All that two runs hold is the same to the last bit, but for when and how fast it was made."""
    names = files_of(one)
    assert names ^ files_of(other) == set()
    assert len(names) > 8
    for name in names:
        if name.name != "run.json":
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    records = [json.loads((run.path / "run.json").read_bytes()) for run in (one, other)]
    assert records[0].keys() == records[1].keys()
    assert all(records[0][name] == records[1][name] for name in records[0].keys() - TIMES)


def write_outputs(path: Path, n_samples: int, n_features: int = 4, n_classes: int = 3, seed: int = 0) -> Path:
    """A bundle of outputs of Gaussian classes, a tenth of the labels wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(n_classes, size=n_samples)
    centres = 2 * random.standard_normal((n_classes, n_features))
    features = (centres[truth] + random.standard_normal((n_samples, n_features))).astype(np.float32)
    logits = (features @ centres.T - (centres**2).sum(1) / 2).astype(np.float32)
    wrong = random.random(n_samples) < 0.1
    labels = np.where(wrong, random.integers(n_classes, size=n_samples), truth)
    np.savez(path, features=features, logits=logits, labels=labels)
    return path
