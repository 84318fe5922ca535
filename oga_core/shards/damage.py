"""Whether the files of a finished shard can be read: on their way from another machine they may have been cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oga_core.errors import OgaError

if TYPE_CHECKING:
    from oga_core.shards.marker import Marker


def check_files(shards: Sequence[tuple[Path, Marker]]) -> None:
    """Open every array, table and record; raises `OgaError` with the name of the first that is damaged."""
    for folder, marker in shards:
        for path in sorted(folder.rglob("*")):
            try:
                _open(path)
            except (ValueError, EOFError) as error:
                raise OgaError(
                    f"{path} is damaged or was cut off. Remove {folder}, and score shard {marker.shard} again, or copy "
                    "the folder again from where it was made."
                ) from error


def _open(path: Path) -> None:
    import pyarrow.parquet

    if path.suffix == ".npy":
        np.load(path, mmap_mode="r", allow_pickle=False)
    elif path.suffix == ".parquet":
        pyarrow.parquet.read_metadata(path)
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
