"""Runs with decisions, as the pipeline and a review leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from here import without_workers

from oga_core.exports import export
from oga_core.previews.content import Preview
from oga_core.previews.drawing import preview
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.samples import SampleSet

RELABELLED, REMOVED, KEPT, UNSURE = 1, 2, 4, 5


def make_run(folder: Path, path: Path, classes: list[str] | None = None, **options: Any) -> RunFolder:
    """A run folder as the pipeline leaves it, the last samples the most suspicious."""
    samples = read_samples(path, **options)
    names = classes or list(samples.class_names)
    numbered = samples.with_classes(names)
    run = RunFolder.create(folder)
    given = [names[label] if label >= 0 else "" for label in numbered.given_labels]
    predicted = [names[(label + 1) % len(names)] if label >= 0 else "" for label in numbered.given_labels]
    n_samples = len(samples)
    run.write_table(
        pd.DataFrame(
            {
                "sample_id": samples.ids,
                "given_label": given,
                "predicted_label": predicted,
                "given_label_probability": np.linspace(0.9, 0.1, n_samples),
                "map_x": np.linspace(0, 1, n_samples),
                "map_y": np.linspace(1, 0, n_samples),
                "score_loss": np.arange(n_samples, dtype=np.float64),
            }
        )
    )
    run.update(
        data={
            "path": str(path),
            "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
            "fingerprint": samples.fingerprint,
        },
        model={"path": None},
        options={"seed": 0},
        classes=names if samples.class_names else [],
        default_score="loss",
        suggested_trim_fraction=0.25,
        modality=samples.modality,
    )
    return run


def decide(run: RunFolder, samples: SampleSet, new_label: str | None) -> None:
    """One decision of every kind; without labels nothing is relabelled."""
    store = ReviewStore(run.review)
    if new_label is not None:
        store.decide(Decision(samples.ids[RELABELLED], "relabel", new_label, reviewer="Zoë"))
    store.decide(Decision(samples.ids[REMOVED], "remove"))
    store.decide(Decision(samples.ids[KEPT], "keep"))
    store.decide(Decision(samples.ids[UNSURE], "unsure"))


def export_here(run: RunFolder, format: str, out: Path, **options: Any) -> Path:
    """Export as `export` does, the worker's part in this process too: what is written is the same, and starts at once.

    test_export_job.py tries the worker.
    """
    with without_workers():
        return export(run, format, out, **options)


def previews_here(run: RunFolder, rows: list[int], side: int) -> list[Preview]:
    """What `PreviewReader` shows, read in this process."""
    return [preview(run.samples, row, side) for row in rows]
