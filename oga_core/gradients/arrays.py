"""The arrays of a running pass: memory-mapped files that an interrupted run continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.samples import Problem

PROGRESS = "progress.json"
_COPIED_ROWS = 65_536


class PassArrays:
    """One `.npy` per array in `folder`, `n_samples` rows each, and `progress.json` that says how much is done.

    An interrupted pass with the same fingerprint goes on where it stopped; any other content is replaced.
    """

    def __init__(self, folder: Path, n_samples: int, fingerprint: str):
        self.folder, self.n_samples, self.fingerprint = folder, n_samples, fingerprint
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.done = 0
        self.batch_size = 0
        self.problems: dict[int, Problem] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if not self._continue():
            for path in folder.glob("*.npy"):
                path.unlink()

    def write(self, rows: NDArray[np.int64], values: Mapping[str, NDArray[np.generic]]) -> None:
        """Write the values of `rows` (positions among the samples); files are made at the first write."""
        for name, value in values.items():
            if name not in self.arrays:
                self.arrays[name] = np.lib.format.open_memmap(
                    self._path(name), mode="w+", dtype=value.dtype, shape=(self.n_samples, *value.shape[1:])
                )
            self.arrays[name][rows] = value

    def record(self, done: int) -> None:
        """Note that the first `done` samples of the pass's order are on disk."""
        for array in self.arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        self.done = done
        content = {
            "fingerprint": self.fingerprint,
            "done": done,
            "batch_size": self.batch_size,
            "problems": [
                [position, problem.sample_id, problem.row, problem.reason]
                for position, problem in self.problems.items()
            ],
        }
        write_whole(self.folder / PROGRESS, lambda path: path.write_text(json.dumps(content)))

    def finish(self) -> NDArray[np.int64]:
        """Drop the rows that could not be read and return the positions of those that remain."""
        readable = np.ones(self.n_samples, dtype=bool)
        readable[list(self.problems)] = False
        rows = np.flatnonzero(readable)
        if self.problems:
            (self.folder / PROGRESS).unlink(missing_ok=True)  # from here on the rows are no longer the samples'
            for name, array in self.arrays.items():
                write_whole(self._path(name), lambda path, array=array: _copy_rows(array, rows, path))  # type: ignore[misc]
        self.arrays.clear()
        (self.folder / PROGRESS).unlink(missing_ok=True)
        return rows

    def _continue(self) -> bool:
        try:
            content = json.loads((self.folder / PROGRESS).read_bytes())
            if content["fingerprint"] != self.fingerprint:
                return False
            arrays = {path.stem: np.lib.format.open_memmap(path, mode="r+") for path in self.folder.glob("*.npy")}
            if any(len(array) != self.n_samples for array in arrays.values()):
                return False
            self.arrays = dict(arrays)
            self.done, self.batch_size = content["done"], content["batch_size"]
            self.problems = {position: Problem(*problem) for position, *problem in content["problems"]}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def _copy_rows(source: NDArray[np.generic], rows: NDArray[np.int64], path: Path) -> None:
    target = np.lib.format.open_memmap(path, mode="w+", dtype=source.dtype, shape=(len(rows), *source.shape[1:]))
    for start in range(0, len(rows), _COPIED_ROWS):
        part = slice(start, start + _COPIED_ROWS)
        target[part] = source[rows[part]]
    target.flush()
