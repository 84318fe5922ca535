"""The tables of all shards as those of one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from oga_core.files import write_whole
from oga_core.numerics import Indices
from oga_core.pipeline.record import GROUP_VALUES


def join_tables(folders: Sequence[Path], rows: Sequence[Indices], target: Path) -> None:
    """Write samples.parquet and groups.parquet of all shards into `target`, in the data's order."""
    order = np.argsort(np.concatenate(rows), kind="stable")
    for name in ("samples.parquet", "groups.parquet"):
        parts = [pd.read_parquet(folder / name) for folder in folders]
        columns = [column for column in parts[0] if all(column in part for part in parts)]
        table = pd.concat([part[columns] for part in parts], ignore_index=True)
        if name == "groups.parquet":
            table = table[[column for column in columns if table[column].nunique() <= GROUP_VALUES]]
        table = table.iloc[order].reset_index(drop=True) if columns else pd.DataFrame()
        write_whole(target / name, lambda path, table=table: table.to_parquet(path, index=False))  # type: ignore[misc]
