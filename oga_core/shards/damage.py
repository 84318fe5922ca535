"""Whether the files of a finished shard can be read and are whole: on their way here they may have been cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradients.batches import POSITIONS
from oga_core.shards.placement import progress_of
from oga_core.shards.ragged import is_whole, ragged_files

if TYPE_CHECKING:
    from oga_core.shards.marker import Marker


def check_files(shards: Sequence[tuple[Path, Marker]]) -> None:
    """Open every array, table and record; raises `OgaError` with the name of the first that is damaged."""
    for folder, marker in shards:
        for path in sorted(folder.rglob("*")):
            try:
                _open(path)
            except (ValueError, EOFError) as error:
                raise _cut_off(path, folder, marker) from error
        for name, file in ragged_files(folder / "arrays").items():
            if not is_whole(folder / "arrays" / f"{name}.npy", file):
                raise _cut_off(file.path, folder, marker)


def check_rows(shards: Sequence[tuple[Path, Marker]]) -> None:
    """Hold the rows of every array and table against the samples of the shard; raises `OgaError` naming the first."""
    for folder, marker in shards:
        n_problems = len(progress_of(folder).get("problems", ()))
        expected = len(np.load(folder / POSITIONS, mmap_mode="r", allow_pickle=False)) - n_problems
        for path in (folder / "samples.parquet", *sorted(folder.glob("arrays/*.npy"))):
            rows = _n_rows(path)
            if rows != expected:
                raise OgaError(
                    f"{path} has {rows:,} rows and not the {expected:,} of its shard's samples. Remove {folder}, and "
                    f"score shard {marker.shard} again, or copy the folder again from where it was made."
                )


def _cut_off(path: Path, folder: Path, marker: Marker) -> OgaError:
    return OgaError(
        f"{path} is damaged or was cut off. Remove {folder}, and score shard {marker.shard} again, or copy the folder "
        "again from where it was made."
    )


def _n_rows(path: Path) -> int:
    import pyarrow.parquet

    if path.suffix == ".parquet":
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    return len(np.load(path, mmap_mode="r", allow_pickle=False))


def _open(path: Path) -> None:
    import pyarrow.parquet

    if path.suffix == ".npy":
        np.load(path, mmap_mode="r", allow_pickle=False)
    elif path.suffix == ".parquet":
        pyarrow.parquet.read_metadata(path)
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
