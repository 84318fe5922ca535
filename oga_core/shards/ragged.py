"""Files beside the arrays that hold more of some rows than of others, and the arrays that say where each row's lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oga_core.gradient_sketch import TokenLosses, WordRecords
from oga_core.gradients.pixels.predicted_masks import PredictedMasks

_HALF = 2  # bytes of a float16


@dataclass(frozen=True)
class RaggedFile:
    """A file of entries of `size` bytes each; spans of rows count in entries."""

    path: Path
    size: int


def ragged_files(folder: Path) -> dict[str, RaggedFile]:
    """Return the ragged file of every array of spans in `folder`, by the name of that array."""
    words = WordRecords(folder)
    files = {
        "token_spans": RaggedFile(TokenLosses(folder).path, _HALF),
        "word_spans": RaggedFile(words.path, words.record.itemsize if words.widths.is_file() else 1),
        "mask_spans": RaggedFile(PredictedMasks(folder).path, 1),
    }
    return {name: file for name, file in files.items() if (folder / f"{name}.npy").is_file()}


def is_whole(spans: Path, file: RaggedFile) -> bool:
    """Whether the file holds all that the spans of its rows, `(n_rows, 2)`, say."""
    stops = np.load(spans, mmap_mode="r", allow_pickle=False)[:, 1]
    size = file.path.stat().st_size if file.path.is_file() else -1
    return size >= int(stops.max(initial=0)) * file.size
