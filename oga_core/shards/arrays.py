"""The arrays of all shards as those of one pass, copied block by block."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.gradients.arrays import OPTIONAL, PROGRESS
from oga_core.numerics import Indices, slices
from oga_core.shards.placement import Placement, progress_of
from oga_core.shards.ragged import RaggedFile, ragged_files


def join_arrays(folders: Sequence[Path], placement: Placement, target: Path, name: str = "arrays") -> None:
    """Write the arrays that the shards keep under `name` into `target`, as one pass over all rows leaves them."""
    sources = [folder / name for folder in folders]
    target.mkdir(parents=True, exist_ok=True)
    for path in (*target.glob("*.npy"), target / PROGRESS, *(file.path for file in ragged_files(target).values())):
        path.unlink(missing_ok=True)
    ragged = [ragged_files(source) for source in sources]
    for path in sources[0].iterdir():
        if path.suffix == ".json" and path.name != PROGRESS:  # what the columns are called, the same in all
            shutil.copyfile(path, target / path.name)
    for array in _shared_names(sources):
        parts = [np.load(source / f"{array}.npy", mmap_mode="r", allow_pickle=False) for source in sources]
        path = target / f"{array}.npy"
        if array in ragged[0]:
            _join_ragged([files[array] for files in ragged], parts, placement, path)
        else:
            write_whole(path, lambda path, parts=parts: _scatter(parts, placement.rows, path))  # type: ignore[misc]


def _shared_names(sources: Sequence[Path]) -> list[str]:
    """Arrays that every shard has, in one width where they are optional."""
    names = set.intersection(*({path.stem for path in source.glob("*.npy")} for source in sources))
    return sorted(name for name in names if name not in OPTIONAL or len(_widths(sources, name)) == 1)


def _widths(sources: Sequence[Path], name: str) -> set[tuple[int, ...]]:
    return {np.load(source / f"{name}.npy", mmap_mode="r", allow_pickle=False).shape[1:] for source in sources}


def _scatter(parts: Sequence[NDArray[Any]], rows: Sequence[Indices], path: Path) -> None:
    shape = (sum(map(len, rows)), *parts[0].shape[1:])
    whole = np.lib.format.open_memmap(path, mode="w+", dtype=parts[0].dtype, shape=shape)
    for part, places in zip(parts, rows, strict=True):
        for block in slices(len(part)):
            whole[places[block]] = part[block]
    whole.flush()


def _join_ragged(
    files: Sequence[RaggedFile], spans: Sequence[NDArray[np.int64]], placement: Placement, path: Path
) -> None:
    """Append what rows have more or less of in the order of the pass; write where each row's lie.

    files: one a shard. path: of the spans, `(n_samples, 2)`.
    """
    origin = np.repeat(np.arange(len(spans)), [len(part) for part in spans])
    shard_spans = np.concatenate(spans)
    lengths = shard_spans[:, 1] - shard_spans[:, 0]
    order = np.argsort(np.concatenate(placement.keys), kind="stable")
    stops = np.cumsum(lengths[order])
    whole_spans = np.empty_like(shard_spans)
    whole_spans[np.concatenate(placement.rows)[order]] = np.stack([stops - lengths[order], stops], axis=1)
    contents = [np.memmap(file.path, dtype=np.uint8, mode="r") for file in files]
    with path.with_name(files[0].path.name).open("wb") as whole:
        for row in order:
            start, stop = shard_spans[row] * files[0].size
            whole.write(contents[origin[row]][start:stop].tobytes())
    np.save(path, whole_spans, allow_pickle=False)


def join_progress(folders: Sequence[Path], placement: Placement, target: Path, fingerprint: str) -> None:
    """Write what a pass over all rows says in the end, so that the same pass is not taken again."""
    contents = [progress_of(folder) for folder in folders]
    if not contents[0]:
        return
    ends = [content["finished"] for content in contents]
    whole = {
        **contents[0],
        "fingerprint": fingerprint,
        "done": placement.n_samples,
        "problems": [[position, *astuple(problem)] for position, problem in placement.problems.items()],
        "names": sorted(set.intersection(*(set(content["names"]) for content in contents))),
        "finished": {
            **ends[0],
            **{name: max(end[name] for end in ends) for name in ("check_error", "precision_error")},
            "coverage": min(end["coverage"] for end in ends),
            "notes": list(dict.fromkeys(note for end in ends for note in end["notes"])),
        },
    }
    write_whole(target / PROGRESS, lambda path: path.write_text(json.dumps(whole)))
