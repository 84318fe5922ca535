"""The run folder: everything one run knows, written as it goes and opened by the dashboard and the exports."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.files import is_temporary, unwritable, write_whole
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Indices
from oga_core.remote import FOLDER, MANIFEST
from oga_core.runs.arrays import read_arrays
from oga_core.runs.info import LOCK, SCHEMA, RunInfo, read_json
from oga_core.runs.stored.columns import StoredColumns
from oga_core.runs.stored.decoded import FILE as DECODED
from oga_core.runs.stored.decoded import MANY, write_decoded
from oga_core.runs.stored.ids import SampleIds
from oga_core.runs.stored.writing import replace_columns, write_columns
from oga_core.runs.table import NAMED, SCORE_PREFIX, decoded_columns, read_table, sample_ids, score_names
from oga_core.samples import SampleSet

if TYPE_CHECKING:
    from oga_core.readers.tables.indexed import SeenRows

PLACES = "rows.npy"
"""Where the rows of a large table of text lie in it."""
SHARDS = "shards"
"""What is scored in parts, until it is merged."""

__all__ = ["SCORE_PREFIX", "RunFolder", "score_names"]


class RunFolder:
    """One run folder.

    run.json: versions, fingerprints, options, checks, seconds per stage; `status` is running, done, failed or
        cancelled.
    scores.parquet: one row per sample in the data's order.
    arrays/: the gradient sketch, one `.npy` per array. review.sqlite: the decisions.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    @classmethod
    def create(cls, path: Path | str) -> RunFolder:
        """Open `path` for a new or continued run; refuses a folder that holds something else."""
        path = Path(path)
        try:
            if path.exists() and not path.is_dir():
                raise OgaError(f"The run folder {path} is a file. Give a new or empty folder.")
            if path.is_dir() and not all(map(_is_ours, path.iterdir())) and not (path / "run.json").exists():
                raise OgaError(f"The folder {path} is not empty and is not a run. Give a new or empty folder.")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Open a run that exists; raises `OgaError` where there is none."""
        path = Path(path)
        if not (path / "run.json").is_file():
            raise OgaError(
                f"{path} is not a run folder: it has no run.json. "
                f"Make one with: oga score DATA --model MODEL --run {path}."
            )
        return cls(path)

    @property
    def info(self) -> RunInfo:
        """The record in run.json, read afresh; all defaults before the first write."""
        return RunInfo.read(self.path / "run.json")

    def update(self, **changes: Any) -> None:
        """Merge `changes` into run.json; what other versions wrote there stays."""
        content = {**read_json(self.path / "run.json"), "schema": SCHEMA, **changes}
        write_whole(
            self.path / "run.json", lambda path: path.write_text(json.dumps(content, indent=1, ensure_ascii=False))
        )

    def end(self, status: str, error: str, **detail: Any) -> None:
        """Write how a run ended that did not come to its end; on a full disk at least that it is not running."""
        try:
            self.update(status=status, error=error, **detail)
        except (OgaError, OSError):
            self._overwrite_status()

    def _overwrite_status(self) -> None:
        """Replace "running" in place, by nothing longer: that needs no space, and a new file would."""
        path = self.path / "run.json"
        old = b'\n "status": "running"'
        new = b'\n "status": "failed"'
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            if old in content:
                with path.open("r+b") as file:
                    file.seek(content.index(old))
                    file.write(new.ljust(len(old)))

    @property
    def is_scored(self) -> bool:
        """Whether scores.parquet is there."""
        return (self.path / "scores.parquet").is_file()

    @property
    def table(self) -> pd.DataFrame:
        """scores.parquet: sample_id, given_label, predicted_label, given_label_probability, score_*, map_x, map_y."""
        self._require_scores()
        return read_table(self.path / "scores.parquet")

    def _require_scores(self) -> None:
        if not self.is_scored:
            raise OgaError(f"The run {self.path} has no scores yet (status: {self.info.status}).")

    @property
    def ids(self) -> SampleIds:
        """The ids of the table's rows, without the rest of it."""
        self._require_scores()
        return sample_ids(StoredColumns(self.path / "scores.parquet", ()))

    def write_table(self, table: pd.DataFrame) -> None:
        """Replace scores.parquet."""
        write_whole(self.path / "scores.parquet", lambda path: table.to_parquet(path, index=False))

    def write_columns(self, columns: Mapping[str, Any]) -> None:
        """Replace scores.parquet by these columns, `(n_samples,)` each, with no copy of them all in memory."""
        write_whole(self.path / "scores.parquet", lambda path: write_columns(path, columns))

    def replace_columns(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write these columns of numbers, `(n_samples,)` each, into scores.parquet, which is never whole in memory."""
        self._require_scores()
        table = self.path / "scores.parquet"
        write_whole(table, lambda path: replace_columns(table, path, columns))

    def keep_decoded(self) -> None:
        """Write the columns that pages open with as they lie in memory, where there are many samples."""
        table = self.path / "scores.parquet"
        columns = StoredColumns(table, NAMED)
        (self.path / DECODED).unlink(missing_ok=True)
        if len(columns) >= MANY:
            decoded = decoded_columns(columns, self.info)
            write_whole(self.path / DECODED, lambda path: write_decoded(path, table, decoded))

    def metadata(self, n_samples: int) -> StoredColumns | None:
        """Columns of the data with few distinct values as text, `n_samples` rows; None where they were not written."""
        try:
            groups = StoredColumns(self.path / "groups.parquet")
        except OgaError:
            return None
        return groups if len(groups) == n_samples else None

    @property
    def arrays(self) -> Path:
        """The folder of the gradient sketch's arrays."""
        return self.path / "arrays"

    @property
    def review(self) -> Path:
        """The SQLite file of the decisions."""
        return self.path / "review.sqlite"

    def gradient_sketch(self) -> GradientSketch:
        """The arrays of the gradient pass, memory-mapped; raises `OgaError` where they are damaged or missing."""
        return read_arrays(self.arrays, self.info)

    @cached_property
    def samples(self) -> SampleSet:
        """The scored samples, read again from their source; inputs stay lazy."""
        # Opening a run imports none of the readers.
        from oga_core.readers import OPTIONS, read_samples
        from oga_core.readers.targets import with_targets

        info = self.info
        data = info.data
        if not data.path:
            raise OgaError(f"{self.path / 'run.json'} does not say where the data lies. Score the data again.")
        if unknown_options := sorted(set(data.options) - OPTIONS):
            raise OgaError(
                f"{self.path / 'run.json'} names options that this version of oga cannot read data with: "
                f"{', '.join(map(repr, unknown_options))}. Score the data again."
            )
        samples = read_samples(data.path, **data.options)
        if samples.fingerprint != data.fingerprint:
            raise OgaError(f"{data.path} has changed since it was scored. Put the scored version back, or score again.")
        names = info.classes or info.label_names
        return with_targets(samples.take(self._places(samples)), info.target, names, info.loss)

    @cached_property
    def seen(self) -> SampleSet | SeenRows:
        """What can be seen of the scored samples: of a table whose rows' places were kept, without reading it again.

        Of a model's outputs ids and labels are seen, which the run has too. Where the data have changed since, or
        places were not kept, the samples are read.
        """
        from oga_core.readers.tables.indexed import seen_labels, seen_rows

        data = self.info.data
        with contextlib.suppress(OgaError, OSError, TypeError):
            rows: SeenRows | None = None
            if self.info.modality == "outputs" and data.path:
                columns = StoredColumns(self.path / "scores.parquet", ("given_label",))
                labels = columns.codes("given_label", self.info.classes)
                rows = seen_labels(Path(data.path), self.ids.__getitem__, labels, self.info.classes, data.options)
            elif self.info.modality != "causal_lm" and data.path and (spans := self._spans()) is not None:
                rows = seen_rows(Path(data.path), spans, data.options)
            if rows is not None and rows.fingerprint == data.fingerprint:
                return rows
        return self.samples

    def _spans(self) -> Indices | None:
        """Where each row lies in the data, None where that was not kept for all."""
        spans = _read_places(self.path / PLACES)
        return None if spans is None or len(spans) != self.info.n_samples else spans

    def _places(self, samples: SampleSet) -> Indices:
        """Return where the rows of the table stand among all samples of the data."""
        ids = self.ids[:]
        if np.array_equal(ids, samples.ids):
            return np.arange(len(ids))
        position = {sample_id: i for i, sample_id in enumerate(samples.ids)}
        if strange := next((sample_id for sample_id in ids if sample_id not in position), None):
            raise OgaError(
                f"{self.path / 'scores.parquet'} scores {strange!r}, which is not in {samples.source.path}. "
                "Score the data again."
            )
        return np.array([position[sample_id] for sample_id in ids], dtype=np.int64)


def _read_places(path: Path) -> Indices | None:
    """Places of rows, `(n_samples, 2)`, mapped; None where they are not there or damaged."""
    try:
        spans = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return spans if spans.ndim == 2 and spans.shape[1] == 2 and spans.dtype == np.int64 else None


def _is_ours(path: Path) -> bool:
    """Whether a file is what a scoring leaves killed before it wrote anything, or was shared out, or fetched."""
    return path.name in (LOCK, SHARDS) or is_temporary(path) or _is_fetched(path)


def _is_fetched(path: Path) -> bool:
    return path.name == FOLDER and path.is_dir() and all((copy / MANIFEST).is_file() for copy in path.iterdir())
