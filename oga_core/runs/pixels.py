"""What a scored run holds of the pixels of images with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.gradients.pixels.predicted_masks import PredictedMasks
from oga_core.numerics import Values
from oga_core.readers.masks.mask_data import resized
from oga_core.readers.masks.masks import UNCOUNTED

if TYPE_CHECKING:
    from oga_core.runs.folder import RunFolder


class RunPixels:
    """The masks that the model predicts and the losses of regions, by rows of the run's table.

    Raises `OgaError` where the run has none, or its files are damaged.
    """

    def __init__(self, run: RunFolder):
        sketch = run.gradient_sketch()
        if sketch.mask_spans is None or sketch.region_losses is None:
            raise OgaError(f"The run {run.path.name} has no predicted masks. Score the data again.")
        self._spans = sketch.mask_spans
        self._losses = sketch.region_losses
        self._masks = PredictedMasks(run.arrays)

    def __len__(self) -> int:
        return len(self._spans)

    def predicted(self, row: int) -> NDArray[np.int32]:
        """The class indices that the model predicts, `(height, width)`, as it gets the image."""
        return self._masks.of(self._spans[row]).astype(np.int32)

    def in_place_of(self, given: NDArray[np.int32], row: int) -> NDArray[np.int32]:
        """The predicted class indices in the size of a given mask; what has no class there has none here."""
        return np.where(given == UNCOUNTED, UNCOUNTED, resized(self.predicted(row), given.shape))

    def losses(self, row: int) -> Values:
        """The mean loss of every region, `(≤ 32, ≤ 32)`, -1 without a pixel that has a class."""
        return np.asarray(self._losses[row], dtype=np.float64)
