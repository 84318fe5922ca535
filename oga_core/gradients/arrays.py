"""The arrays of a running pass: memory-mapped files that an interrupted run continues."""

from __future__ import annotations

import json
import mmap
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.files import write_whole
from oga_core.gradient_sketch import STATES, TOKEN_LOSSES, WORD_TAGS, TokenLosses, WordRecords
from oga_core.gradients.pixels.predicted_masks import PREDICTED, PredictedMasks
from oga_core.samples import Problem

PROGRESS = "progress.json"
OPTIONAL = {"middle_features", "view_logits", "view_features", "thumbnails", "looks", *STATES}
_COPIED_ROWS = 65_536


class PassArrays:
    """One `.npy` per array in `folder`, `n_samples` rows each, and `progress.json` that says how much is done.

    An interrupted pass with the same fingerprint goes on where it stopped, a finished one is done; any other content is
    replaced.

    given_up: what the pass has found not to hold for this model. finished: what a finished pass has to say.
    """

    def __init__(self, folder: Path, n_samples: int, fingerprint: str):
        self.folder = folder
        self.n_samples = n_samples
        self.fingerprint = fingerprint
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.done = 0
        self.batch_size = 0
        self.problems: dict[int, Problem] = {}
        self.given_up: list[str] = []
        self.finished: dict[str, Any] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.tokens = TokenLosses(folder)
        self.words = WordRecords(folder)
        self.masks = PredictedMasks(folder)
        if not self._continue():
            self._clear()

    def write(self, rows: NDArray[np.int64], values: Mapping[str, NDArray[np.generic]]) -> None:
        """Write the values of `rows` (positions among the samples); files are made at the first write.

        Token losses, words and packed masks, of which rows have more or fewer, go to files of their own, their spans in
        their place. An optional array that not every batch has, in the same width, is dropped.
        """
        if TOKEN_LOSSES in values:
            spans = {"token_spans": self.tokens.append(values[TOKEN_LOSSES])}  # type: ignore[arg-type]
            values = {**{name: value for name, value in values.items() if name != TOKEN_LOSSES}, **spans}
        if WORD_TAGS in values:
            spans = {"word_spans": self.words.append(values)}
            values = {**{name: value for name, value in values.items() if not name.startswith("word_")}, **spans}
        if PREDICTED in values:
            spans = {"mask_spans": self.masks.append(values[PREDICTED])}
            values = {**{name: value for name, value in values.items() if name != PREDICTED}, **spans}
        if self.arrays.keys() & values.keys():
            values = {name: value for name, value in values.items() if self._goes_on(name, value)}
            for name in (OPTIONAL & self.arrays.keys()) - values.keys():
                del self.arrays[name]
                self._path(name).unlink()
        for name, value in values.items():
            if name not in self.arrays:
                self.arrays[name] = np.lib.format.open_memmap(
                    self._path(name), mode="w+", dtype=value.dtype, shape=(self.n_samples, *value.shape[1:])
                )
            _put(self.arrays[name], rows, value)

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
                [position, problem.sample_id, problem.row, problem.reason, problem.untrained]
                for position, problem in sorted(self.problems.items())
            ],
            "given_up": self.given_up,
            "names": sorted(self.arrays),
            "finished": self.finished,
        }
        write_whole(self.folder / PROGRESS, lambda path: path.write_text(json.dumps(content)))

    def start_again(self, given_up: Collection[str]) -> None:
        """Forget what was written, because it was computed by a method that does not suit the model."""
        self.given_up = sorted(given_up)
        self._clear()
        self.record(0)

    def finish(self, summary: dict[str, Any]) -> None:
        """Drop the rows of the problems, and keep the summary for who asks for the same pass again."""
        if self.problems:
            (self.folder / PROGRESS).unlink(missing_ok=True)  # from here on the rows are no longer the samples'
            for name, array in self.arrays.items():
                write_whole(self._path(name), lambda path, array=array: _copy_rows(array, self.rows, path))  # type: ignore[misc]
        self.finished = summary
        self.record(self.n_samples)
        self.arrays.clear()

    @property
    def rows(self) -> NDArray[np.int64]:
        """Positions of the samples without a problem."""
        usable = np.ones(self.n_samples, dtype=bool)
        usable[list(self.problems)] = False
        return np.flatnonzero(usable)

    def _goes_on(self, name: str, value: NDArray[np.generic]) -> bool:
        if name not in OPTIONAL:
            return True
        return name in self.arrays and self.arrays[name].shape[1:] == value.shape[1:]

    def _clear(self) -> None:
        self.arrays.clear()
        beside = (self.tokens.path, self.words.path, self.words.widths, self.masks.path, self.masks.header)
        for path in (*self.folder.glob("*.npy"), *beside):
            path.unlink(missing_ok=True)

    def _continue(self) -> bool:
        try:
            content = json.loads((self.folder / PROGRESS).read_bytes())
            if content["fingerprint"] != self.fingerprint:
                return False
            problems = {position: Problem(*problem) for position, *problem in content["problems"]}
            n_rows = self.n_samples - (len(problems) if content["finished"] else 0)
            arrays = {name: np.lib.format.open_memmap(self._path(name), mode="r+") for name in content["names"]}
            if any(len(array) != n_rows for array in arrays.values()):
                return False
            self.finished = content["finished"]
            self.problems = problems
            self.given_up = content["given_up"]
            self.done = content["done"]
            self.batch_size = content["batch_size"]
            self.arrays = {} if self.finished else dict(arrays)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def _put(array: NDArray[np.generic], rows: NDArray[np.int64], values: NDArray[np.generic]) -> None:
    """Write rows of a new file; long ones past its mapping, every page of which would be filled with zeros first."""
    if values[0].nbytes < mmap.PAGESIZE or not isinstance(array, np.memmap) or array.dtype != values.dtype:
        array[rows] = values
        return
    lines = np.ascontiguousarray(values)
    with Path(str(array.filename)).open("r+b") as file:
        for row, line in zip(rows.tolist(), lines, strict=True):
            file.seek(array.offset + row * line.nbytes)
            file.write(line.data)


def _copy_rows(source: NDArray[np.generic], rows: NDArray[np.int64], path: Path) -> None:
    target = np.lib.format.open_memmap(path, mode="w+", dtype=source.dtype, shape=(len(rows), *source.shape[1:]))
    for start in range(0, len(rows), _COPIED_ROWS):
        part = slice(start, start + _COPIED_ROWS)
        target[part] = source[rows[part]]
    target.flush()
