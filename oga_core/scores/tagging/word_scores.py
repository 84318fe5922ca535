"""The scores of single words in a run folder: a ragged array, as offsets and values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError

FOLDER = "words"


@dataclass(frozen=True)
class Doubt:
    """What is known of one word's tag: its place in the sentence, how likely the tag is wrong, and the likeliest other.

    score: higher is more suspicious. suggested: an index into the run's label_names.
    """

    place: int
    score: float
    probability: float
    suggested: int


@dataclass(frozen=True, eq=False)
class WordScores:
    """Words of all sentences, one after the other; those of sample i from `offsets[i]` to `offsets[i + 1]`.

    offsets: `(n_samples + 1,)`. places: `(n_words,)` in the sentence; words that the model did not see are not there.
    scores: higher is more suspicious. probabilities: that the tag is wrong, 0 to 1. suggestions: class indices.
    """

    offsets: NDArray[np.int64]
    places: NDArray[np.int32]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    suggestions: NDArray[np.int32]

    def save(self, run: Path) -> None:
        """Write one `.npy` each into the folder `words` of a run."""
        folder = run / FOLDER
        folder.mkdir(exist_ok=True)
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name), allow_pickle=False)

    @classmethod
    def load(cls, run: Path) -> WordScores:
        """Open what `save` wrote, memory-mapped; raises `OgaError` where it is missing or damaged."""
        try:
            arrays: dict[str, Any] = {
                field.name: np.load(run / FOLDER / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
                for field in fields(cls)
            }
        except (OSError, ValueError) as error:
            raise OgaError(f"The scores of words in {run / FOLDER} cannot be read: {error}. Score again.") from None
        lengths = {len(array) for name, array in arrays.items() if name != "offsets"}
        if lengths != {int(arrays["offsets"][-1])}:
            raise OgaError(f"The scores of words in {run / FOLDER} do not belong together. Score again.")
        return cls(**arrays)

    def of(self, row: int) -> list[Doubt]:
        """The words of one sample, in their order."""
        part = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        columns = (self.places, self.scores, self.probabilities, self.suggestions)
        return [Doubt(*values) for values in zip(*(column[part].tolist() for column in columns), strict=True)]
