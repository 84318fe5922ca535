"""A small run as the pipeline and a review leave it, for tests that then break it or take rights away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from export_runs import make_run

from oga_core.gradient_sketch import GradientSketch
from oga_core.review import Decision, ReviewStore

N_SAMPLES = 6


def good_run(folder: Path) -> Path:
    """Write data.csv and a run of its six samples, with arrays and decisions, into `folder`; return the run."""
    rows = [f"text {i},{label}" for i, label in enumerate(["cat", "dog", "NA"] * 2)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    run = make_run(folder / "run", folder / "data.csv", classes=["cat", "dog", "NA"])
    run.update(status="done", n_samples=N_SAMPLES)
    random = np.random.default_rng(0)
    GradientSketch(
        given_labels=np.arange(N_SAMPLES) % 3,
        losses=random.random(N_SAMPLES, dtype=np.float32),
        sketch=random.random((N_SAMPLES, 4), dtype=np.float32),
        logits=random.random((N_SAMPLES, 3), dtype=np.float32),
        features=random.random((N_SAMPLES, 5), dtype=np.float32),
    ).save(run.arrays)
    with closing(ReviewStore(run.review)) as store:
        store.decide(Decision("0", "relabel", "dog"))
        store.decide(Decision("1", "remove"))
    return run.path
