"""scores.parquet as a table: read, and checked against what every page and export expects of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from oga_core.errors import OgaError
from oga_core.runs.stored.columns import AGAIN, StoredColumns, damaged
from oga_core.runs.stored.decoded import FILE as DECODED
from oga_core.runs.stored.decoded import read_decoded
from oga_core.runs.stored.ids import SampleIds, one_array
from oga_core.threshold.ranked import RankedScores

if TYPE_CHECKING:
    from oga_core.runs.info import RunInfo

SCORE_PREFIX = "score_"
CONTENT = "content_hash"
"""The column that tells whether a sample of another run is the same, whatever its label and id."""
GIVEN_VALUE, PREDICTED_VALUE = "given_value", "predicted_value"
"""The columns of numbers in a run of a model that predicts them; given_label and predicted_label hold them as text."""
NAMED = ("given_label", "predicted_label", "suggested_label", "finding")
"""Columns of few names."""
_NUMBERS = (
    *("given_label_probability", "wrong_label_probability", "map_x", "map_y", "map_cluster"),
    *(GIVEN_VALUE, PREDICTED_VALUE),
)


def read_table(path: Path) -> pd.DataFrame:
    """Return the table at `path`: unique ids in `sample_id`, and scores, probabilities and map as numbers.

    Raises `OgaError` for a file that is damaged or of another kind.
    """
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise damaged(path, error) from None
    if "sample_id" not in table:
        raise OgaError(f"{path} has no column 'sample_id'. {AGAIN}")
    if table["sample_id"].isna().any():
        raise OgaError(f"{path} has rows without an id in 'sample_id'. {AGAIN}")
    repeated = table["sample_id"][table["sample_id"].duplicated()]
    if len(repeated):
        raise OgaError(f"{path} has the id {str(repeated.iat[0])!r} more than once. {AGAIN}")
    for name in filter(_is_number, map(str, table.columns)):
        if not (pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all()):
            raise _no_numbers(name, path, str(table[name].dtype))
    return table.astype({"sample_id": str})


def open_columns(path: Path, info: RunInfo) -> tuple[StoredColumns, SampleIds]:
    """Return the columns and ids of the run at `path`: what `read_table` reads, checked against the run's record.

    Only ids and labels are read for it. Raises `OgaError` for a table that is damaged, of another kind, or disagrees
    with the record.
    """
    file = path / "scores.parquet"
    if not file.is_file():
        raise OgaError(f"The run {path} has no scores yet (status: {info.status}).")
    columns = StoredColumns(file, NAMED, read_decoded(path / DECODED, file))
    columns.read_ahead(["sample_id", "given_label", "predicted_label", "finding", _score(info), "map_x", "map_y"])
    ids = sample_ids(columns)
    for name in filter(_is_number, columns.names):
        if not columns.is_numeric(name):
            raise _no_numbers(name, file, columns.kind(name))
    _check_record(columns, info, path)
    return columns, ids


def decoded_columns(columns: StoredColumns, info: RunInfo) -> dict[str, pa.Array]:
    """Return what pages open with, as it lies in memory: ids, names, numbers, and the order by the default score."""
    sample_ids(columns)  # those of which one stands twice are not kept
    decoded = {"sample_id": one_array(columns.column("sample_id").cast(pa.large_string()))}
    decoded |= {name: columns.encoded(name) for name in NAMED if name in columns}
    numbers = [name for name in (_score(info), *_NUMBERS) if name in columns]
    decoded |= {name: pa.array(columns.numbers(name)) for name in numbers}
    if _score(info) in columns:
        ranked = RankedScores.of(columns.numbers(_score(info)))
        decoded[order_of(str(info.default_score))] = pa.array(ranked.order)
    return decoded


def order_of(score: str) -> str:
    """Return the name of the decoded column that holds the order by a score."""
    return f"order_of_{score}"


def _score(info: RunInfo) -> str:
    return f"{SCORE_PREFIX}{info.default_score}"


def score_names(columns: Iterable[str]) -> list[str]:
    """Names of the scores among a table's columns, without their prefix."""
    return [column.removeprefix(SCORE_PREFIX) for column in columns if column.startswith(SCORE_PREFIX)]


def sample_ids(columns: StoredColumns) -> SampleIds:
    """Return the ids of a run's table; raises `OgaError` where one is missing or stands twice."""
    if "sample_id" not in columns:
        raise OgaError(f"{columns.path} has no column 'sample_id'. {AGAIN}")
    stored = columns.column("sample_id")
    if stored.null_count:
        raise OgaError(f"{columns.path} has rows without an id in 'sample_id'. {AGAIN}")
    ids = SampleIds(stored)
    if "sample_id" in columns.decoded:
        return ids  # they were looked at when they were kept
    if (repeated := ids.repeated()) is not None:
        raise OgaError(f"{columns.path} has the id {repeated!r} more than once. {AGAIN}")
    return ids


def _is_number(name: str) -> bool:
    return name in _NUMBERS or name.startswith(SCORE_PREFIX)


def _no_numbers(name: str, path: Path, kind: str) -> OgaError:
    return OgaError(f"The column {name!r} of {path} must be numbers, and holds {kind}. {AGAIN}")


def _check_record(columns: StoredColumns, info: RunInfo, path: Path) -> None:
    """Raise `OgaError` where the table and the record of a run disagree."""
    if not len(columns):
        raise OgaError(f"The run {path} has no samples. Score data with at least one sample.")
    if info.status == "done" and info.n_samples is not None and info.n_samples != len(columns):
        raise OgaError(
            f"The run {path} is damaged: its table has {len(columns):,} rows, its record says {info.n_samples:,}. "
            f"{AGAIN}"
        )
    names = score_names(columns.names)
    if info.default_score is not None and names and info.default_score not in names:
        raise OgaError(
            f"The run {path} is damaged: the default score {info.default_score!r} of its record is not in its table. "
            f"{AGAIN}"
        )
    for column in ("given_label", "predicted_label"):
        labels = columns.distinct(column) if column in columns and info.classes else ()
        strange = [label for label in labels if label and label not in info.classes]
        if strange:
            raise OgaError(
                f"The run {path} is damaged: {column} in its table is {strange[0]!r}, which is not one of the classes "
                f"of its record. {AGAIN}"
            )
