"""scores.parquet as a table: read, and checked against what every page and export expects of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from oga_core.errors import OgaError

if TYPE_CHECKING:
    from oga_core.runs.info import RunInfo

SCORE_PREFIX = "score_"
CONTENT = "content_hash"
"""The column that tells whether a sample of another run is the same, whatever its label and id."""
GIVEN_VALUE, PREDICTED_VALUE = "given_value", "predicted_value"
"""The columns of numbers in a run of a model that predicts them; given_label and predicted_label hold them as text."""
_NUMBERS = (
    *("given_label_probability", "wrong_label_probability", "map_x", "map_y", "map_cluster"),
    *(GIVEN_VALUE, PREDICTED_VALUE),
)
_AGAIN = "Score the data again into a new folder."


def read_table(path: Path) -> pd.DataFrame:
    """Return the table at `path`: unique ids in `sample_id`, and scores, probabilities and map as numbers.

    Raises `OgaError` for a file that is damaged or of another kind.
    """
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise OgaError(f"{path} is damaged: {reason.rstrip('.')}. {_AGAIN}") from None
    if "sample_id" not in table:
        raise OgaError(f"{path} has no column 'sample_id'. {_AGAIN}")
    if table["sample_id"].isna().any():
        raise OgaError(f"{path} has rows without an id in 'sample_id'. {_AGAIN}")
    repeated = table["sample_id"][table["sample_id"].duplicated()]
    if len(repeated):
        raise OgaError(f"{path} has the id {str(repeated.iat[0])!r} more than once. {_AGAIN}")
    for name in table.columns:
        is_number = pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all()
        if (name in _NUMBERS or str(name).startswith(SCORE_PREFIX)) and not is_number:
            raise OgaError(f"The column {name!r} of {path} must be numbers, and holds {table[name].dtype}. {_AGAIN}")
    return table.astype({"sample_id": str})


def score_names(table: pd.DataFrame) -> list[str]:
    """Names of the scores in a run's table, without their prefix."""
    return [column.removeprefix(SCORE_PREFIX) for column in table.columns if column.startswith(SCORE_PREFIX)]


def check_table(table: pd.DataFrame, info: RunInfo, path: Path) -> None:
    """Raise `OgaError` where the table and the record of a run disagree."""
    if table.empty:
        raise OgaError(f"The run {path} has no samples. Score data with at least one sample.")
    if info.status == "done" and info.n_samples is not None and info.n_samples != len(table):
        raise OgaError(
            f"The run {path} is damaged: its table has {len(table):,} rows, its record says {info.n_samples:,}. "
            "Score the data again into a new folder."
        )
    names = score_names(table)
    if info.default_score is not None and names and info.default_score not in names:
        raise OgaError(
            f"The run {path} is damaged: the default score {info.default_score!r} of its record is not in its table. "
            "Score the data again into a new folder."
        )
    for column in ("given_label", "predicted_label"):
        labels = table[column].dropna().astype(str).unique() if column in table and info.classes else ()
        strange = [label for label in labels if label and label not in info.classes]
        if strange:
            raise OgaError(
                f"The run {path} is damaged: {column} in its table is {strange[0]!r}, which is not one of the classes "
                "of its record. Score the data again into a new folder."
            )
