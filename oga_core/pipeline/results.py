"""From the arrays of the gradient pass to a scored run: scores, findings and the map, written as they come."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from oga_core.files import temporary_folder, write_whole
from oga_core.findings.clusters import find_clusters
from oga_core.findings.diagnosis import Diagnosis, diagnose
from oga_core.findings.targets.numbers import DIGITS
from oga_core.findings.targets.tags import predicted_tags, wrong_tag_probability
from oga_core.gradient_sketch import GradientSketch, letting_go
from oga_core.map.projection import leading_axes, project
from oga_core.numerics import PrincipalAxes, room_in
from oga_core.pipeline.recording import identified
from oga_core.runs.folder import SCORE_PREFIX, RunFolder
from oga_core.runs.pixels import RunPixels
from oga_core.runs.stored.ids import SampleIds
from oga_core.runs.table import PREDICTED_VALUE
from oga_core.samples import OWN, labels_text, number_text, present
from oga_core.scores import compute_scores, default_score
from oga_core.scores.tagging.evidence import wrong_tags
from oga_core.scores.tagging.word_scores import WordScores
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.pipeline.options import ScoreOptions


@dataclass(frozen=True)
class ScoredSamples:
    """What stands beside the gradients: ids and labels `(n_samples,)`, classes and columns that may be groups."""

    table: pd.DataFrame
    classes: Sequence[str]
    groups: pd.DataFrame

    @classmethod
    def of(cls, run: RunFolder) -> ScoredSamples:
        """Read what the worker left in the run folder."""
        samples = pd.read_parquet(run.path / "samples.parquet")
        names = run.info.classes or run.info.label_names
        return cls(samples, names, pd.read_parquet(run.path / "groups.parquet"))


def write_results(
    run: RunFolder,
    samples: ScoredSamples,
    *,
    names: Sequence[str] = (),
    map_method: str = "umap",
    seed: int = 0,
    n_checkpoints: int = 0,
    has_validation: bool = False,
    progress: Progress = lambda message: None,
    when_scored: Callable[[], None] = lambda: None,
) -> None:
    """Compute scores, findings and map from the run's arrays and write table and record; the run is done then.

    names: of the scores, none for every score whose needs are met. The table is there before the map is drawn, and
    `when_scored` is called then.
    """
    sketch = run.gradient_sketch()
    with temporary_folder(run.path / "scores") as folder, room_in(folder), letting_go(list(vars(sketch).values())):
        _write_scored(run, sketch, samples, folder, names, seed, n_checkpoints, has_validation, progress)
    when_scored()
    if map_method != "none":
        progress({"stage": "map"})
        axes = draw_map(run, "pca")
    if map_method == "umap":
        draw_map(run, "umap", seed=seed, axes=axes)
    run.keep_decoded()


def _write_scored(
    run: RunFolder,
    sketch: GradientSketch,
    samples: ScoredSamples,
    folder: Path,
    names: Sequence[str],
    seed: int,
    n_checkpoints: int,
    has_validation: bool,
    progress: Progress,
) -> None:
    """Scores and findings. folder: where scores are kept until the table is written, out of memory."""
    progress({"stage": "scores"})
    scores, seconds_of_each = compute_scores(
        sketch,
        names or None,
        seed=seed,
        validation=GradientSketch.load(run.path / "validation") if has_validation else None,
        checkpoints=_checkpoints(run, "checkpoint", n_checkpoints),
        validation_checkpoints=_checkpoints(run, "validation_checkpoint", n_checkpoints) if has_validation else (),
        progress=lambda name, done, total: progress({"stage": "scores", "score": name, "done": done, "total": total}),
        keep=lambda name, values: _mapped(folder / f"{name}.npy", values),
    )
    columns = _columns(run, sketch, samples, scores)
    if run.info.loss.get("name") == OWN:
        columns["given_label_probability"] = _unknown(samples)  # which only cross-entropy tells
    _link_sketch(run)
    if sketch.words is not None:
        _word_scores(sketch).save(run.path)
    start = time.perf_counter()
    progress({"stage": "findings"})
    diagnosis = _diagnosis(sketch, samples, scores, names, seed)
    seconds = {
        **run.info.seconds,
        "scores": round(sum(seconds_of_each.values()), 3),
        "findings": round(time.perf_counter() - start, 3),
        "each_score": seconds_of_each,
    }
    run.write_columns({**columns, **diagnosis.columns, "map_x": _unknown(samples), "map_y": _unknown(samples)})
    warnings = [*run.info.warnings, *diagnosis.fields["warnings"]]
    fields = {**diagnosis.fields, "default_score": default_score(list(scores)), "warnings": warnings}
    run.update(status="done", seconds=seconds, map="none", **fields)


def _mapped(path: Path, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write an array and map it, so that the system may take its memory back."""
    np.save(path, values, allow_pickle=False)
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _unknown(samples: ScoredSamples) -> NDArray[np.float64]:
    return np.full(len(samples.table), np.nan)


def write_scored(
    run: RunFolder,
    record: dict[str, Any],
    options: ScoreOptions,
    progress: Progress,
    when_scored: Callable[[], None] = lambda: None,
) -> None:
    """Write the record of a pass, and scores, findings and map from the arrays that it left in the run folder."""
    run.update(**record, fingerprint=identified(record["data"]["fingerprint"], options))
    write_results(
        run,
        ScoredSamples.of(run),
        names=options.scores,
        map_method=options.map,
        seed=options.seed,
        n_checkpoints=len(options.checkpoints),
        has_validation=options.validation is not None,
        progress=progress,
        when_scored=when_scored,
    )


def draw_map(run: RunFolder, method: str, *, seed: int = 0, axes: PrincipalAxes | None = None) -> PrincipalAxes:
    """Place the samples of a scored run on a 2-D map, with its clusters, and write it into the run's table.

    Returns the axes that it was drawn on, for another map of the same run.
    """
    start = time.perf_counter()
    sketch = np.load(run.arrays / "sketch.npy", mmap_mode="r", allow_pickle=False)
    with letting_go([sketch]):
        axes = axes or leading_axes(sketch)
        positions = project(sketch, method=method, seed=seed, axes=axes)
    clusters = find_clusters(positions)
    run.replace_columns({"map_x": positions[:, 0], "map_y": positions[:, 1], "map_cluster": clusters})
    run.update(map=method, seconds={**run.info.seconds, f"map_{method}": round(time.perf_counter() - start, 3)})
    return axes


def _link_sketch(run: RunFolder) -> None:
    """Give the pass's sketch, which may be gigabytes, a second name; a copy where the file system has none."""
    source, target = run.arrays / "sketch.npy", run.path / "sketch.npy"
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        write_whole(target, lambda path: shutil.copyfile(source, path))


def _checkpoints(run: RunFolder, name: str, count: int) -> list[GradientSketch]:
    folders = sorted(run.path.glob(f"{name}_[0-9]*"))
    return [GradientSketch.load(folder) for folder in folders[:count]]


def _diagnosis(
    sketch: GradientSketch,
    samples: ScoredSamples,
    scores: dict[str, NDArray[np.float64]],
    names: Sequence[str],
    seed: int,
) -> Diagnosis:
    # Findings come from the fits behind the default score; who asks for others only is not made to wait for them.
    if names and "oga" not in scores:
        return Diagnosis({}, {"warnings": []})
    return diagnose(
        sketch,
        scores[default_score(list(scores))],
        class_names=samples.classes,
        ids=SampleIds(pa.chunked_array(pa.array(samples.table["sample_id"]))),
        groups={str(name): samples.groups[name].tolist() for name in samples.groups},
        seed=seed,
        given=samples.table["given_label"].tolist() if sketch.words is not None else (),
    )


def _word_scores(sketch: GradientSketch) -> WordScores:
    judged = wrong_tags(sketch)
    return WordScores(
        offsets=np.append(judged.words.spans[:, 0], len(judged.words)),
        places=judged.words.places.astype(np.int32),
        scores=judged.score.astype(np.float32),
        probabilities=wrong_tag_probability(sketch).astype(np.float32),
        suggestions=judged.suggested.astype(np.int32),
    )


def _columns(
    run: RunFolder, sketch: GradientSketch, samples: ScoredSamples, scores: dict[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """The columns of the run's table, without findings and map."""
    columns: dict[str, Any] = {str(name): samples.table[name] for name in samples.table}
    columns["predicted_label"] = np.full(len(sketch), "", dtype=object)
    columns["given_label_probability"] = np.exp(-np.asarray(sketch.losses))
    if sketch.mask_spans is not None:
        pixels = RunPixels(run)
        columns["predicted_label"] = [present(pixels.predicted(row), samples.classes) for row in range(len(pixels))]
        columns["given_label_probability"] = _unknown(samples)
    elif sketch.words is not None:
        columns["predicted_label"] = predicted_tags(sketch, samples.classes, samples.table["given_label"].tolist())
        columns["given_label_probability"] = _unknown(samples)
    elif sketch.given_flags is not None and sketch.outputs is not None:
        lists = np.asarray(sketch.outputs) > 0
        columns["predicted_label"] = [
            labels_text(name for name, has in zip(samples.classes, row, strict=True) if has) for row in lists
        ]
        columns["given_label_probability"] = _unknown(samples)
    elif sketch.targets is not None and sketch.outputs is not None:
        predicted = np.asarray(sketch.outputs, dtype=np.float64)[:, 0]
        columns[PREDICTED_VALUE] = predicted
        columns["predicted_label"] = [number_text(value, DIGITS) for value in predicted.tolist()]
        columns["given_label_probability"] = _unknown(samples)
    elif sketch.logits is not None:
        classes = np.array(samples.classes, dtype=object)
        columns["predicted_label"] = classes[sketch.logits.argmax(axis=1)]
        columns["given_label_probability"] = sketch.probabilities[np.arange(len(sketch)), sketch.given_labels]
    return columns | {SCORE_PREFIX + name: values for name, values in scores.items()}
