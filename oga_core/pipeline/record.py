"""What of a gradient pass belongs in the run folder: a record for run.json, and tables beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import slices
from oga_core.pipeline.contents import content_hashes
from oga_core.readers.tables.indexed import places
from oga_core.runs.folder import PLACES
from oga_core.runs.table import CONTENT, GIVEN_VALUE
from oga_core.samples import Problem, SampleSet
from oga_core.worker.stages import peak_rss_mb

if TYPE_CHECKING:
    from oga_core.gradients.passes import PassResult

_GROUPED_SAMPLES = 200_000  # reading the rows of more takes longer than the warnings are worth
_MANY_ROWS = 50_000  # fewer are read again in a quarter of a second
GROUP_VALUES = 50  # a column with more distinct values is no group


def pass_record(samples: SampleSet, result: PassResult) -> dict[str, Any]:
    """Return what the pass tells about samples and gradients, by the names of run.json."""
    problems = [*samples.problems, *result.problems]
    return {
        "n_samples": len(result.rows),
        "classes": list(samples.class_names) if samples.target == "class" else [],
        "label_names": list(samples.class_names) if samples.target in ("labels", "tags", "mask") else [],
        "modality": samples.modality,
        "target": samples.target or "class",
        "problems": [problem_record(problem) for problem in problems],
        "gradient_coverage": result.sketch.coverage,
        "gradient_check_error": _known(result.sketch.check_error),
        "gradient_precision_error": _known(result.sketch.precision_error),
        "device": result.device_info,
        "model_accuracy_on_given_labels": accuracy_of(result.sketch),
        "peak_rss_mb": peak_rss_mb(),
    }


def problem_record(problem: Problem) -> dict[str, Any]:
    """Return a problem as run.json says it."""
    return {"sample_id": problem.sample_id, "row": problem.row, "reason": problem.reason}


def _known(error: float) -> float | None:
    return None if math.isnan(error) else error


def accuracy_of(sketch: GradientSketch) -> float | None:
    """Return the share of the given labels that the model predicts, None without classes."""
    if sketch.words is not None and sketch.word_spans is not None:
        words = sketch.words.of(sketch.word_spans)
        return round(float((words["logits"].argmax(axis=1) == words["tag"]).mean()), 6)
    if sketch.pixels is not None:
        right, counted = np.asarray(sketch.pixels, dtype=np.float64).sum(axis=0).tolist()
        return round(right / counted, 6)
    if sketch.logits is None:
        return None
    parts = slices(len(sketch))
    correct = sum(int((sketch.logits[part].argmax(axis=1) == sketch.given_labels[part]).sum()) for part in parts)
    return round(correct / len(sketch), 6)


def write_samples(samples: SampleSet, folder: Path, data: SampleSet | None = None) -> None:
    """Write ids, labels and hashes of the contents to samples.parquet in the run folder, groups to groups.parquet.

    Of many rows of a text their places go to rows.npy, so that no page waits until all are read again.
    data: all the samples, where these are a part of them.
    """
    columns = {"sample_id": samples.ids, **_given(samples)}
    table = pd.DataFrame({**columns, CONTENT: content_hashes(samples)})
    write_whole(folder / "samples.parquet", lambda path: table.to_parquet(path, index=False))
    write_whole(folder / "groups.parquet", lambda path: groups_of(samples, data).to_parquet(path, index=False))
    (folder / PLACES).unlink(missing_ok=True)
    if len(samples) >= _MANY_ROWS and (spans := places(samples)) is not None:
        write_whole(folder / PLACES, lambda path: _save(path, spans))


def _save(path: Path, array: NDArray[np.int64]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _given(samples: SampleSet) -> dict[str, Any]:
    """The labels as text, and numbers as numbers too."""
    names = np.array([*samples.class_names, ""], dtype=object)
    if samples.target == "class" or samples.target is None:
        return {"given_label": names[samples.given_labels]}
    texts = np.array([samples.label_text(i) for i in range(len(samples))], dtype=object)
    return {"given_label": texts, **({GIVEN_VALUE: samples.targets} if samples.target == "number" else {})}


def groups_of(samples: SampleSet, data: SampleSet | None = None) -> pd.DataFrame:
    """Columns of the original rows with few distinct values, which may be groups of people or places.

    data: all the samples, whose number and whose first row's columns count, where these are a part of them.
    """
    data = data or samples
    if samples.modality == "outputs" or len(data) > _GROUPED_SAMPLES:
        return pd.DataFrame()
    names = list(samples.source.further(data.rows[0])) if len(samples) else []
    values: dict[str, list[str]] = {name: [] for name in names}
    distinct: dict[str, set[str]] = {name: set() for name in names}
    for row in samples.rows:
        for name in list(values):
            values[name].append(str(row.get(name, "")))
            distinct[name].add(values[name][-1])
            if len(distinct[name]) > GROUP_VALUES:
                del values[name]
        if not values:
            break
    return pd.DataFrame(values)
