"""The masks that a model predicts, packed in one file."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.numerics import Indices

PREDICTED = "predicted_masks"
_LEVEL = 1  # of zlib: large even areas pack well at once


class PredictedMasks:
    """Class indices of every pixel of all samples, each mask packed by zlib and appended as it is computed.

    masks.json has the height and width of all of them, as the model gets its images, and their dtype. What an
    interrupted pass left without a span is never read.
    """

    def __init__(self, folder: Path):
        self.path = folder / "masks.zlib"
        self.header = folder / "masks.json"

    def append(self, masks: NDArray[np.generic]) -> Indices:
        """Write masks `(batch, height, width)` of uint8 or uint16; return where each lies in the file, `(batch, 2)`."""
        if not self.header.is_file():
            height, width = masks.shape[1:]
            self.header.write_text(json.dumps({"height": height, "width": width, "dtype": masks.dtype.name}))
        packed = [zlib.compress(np.ascontiguousarray(mask).tobytes(), _LEVEL) for mask in masks]
        with self.path.open("ab") as file:
            first = file.tell()
            file.write(b"".join(packed))
        stops = first + np.cumsum([len(part) for part in packed])
        return np.stack([np.concatenate([[first], stops[:-1]]), stops], axis=1).astype(np.int64)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the masks; None where there are none."""
        content = self._content()
        return (content["height"], content["width"]) if content else None

    def of(self, span: Indices) -> NDArray[np.uint8 | np.uint16]:
        """The mask that lies there, `(height, width)`; raises `OgaError` where the file is damaged."""
        content = self._content() or {}
        start, stop = map(int, span)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                packed = file.read(stop - start)
            dtype = np.dtype(content["dtype"])
            size = content["height"] * content["width"] * dtype.itemsize
            mask = np.frombuffer(zlib.decompressobj().decompress(packed, size), dtype=dtype)
            return mask.reshape(content["height"], content["width"])
        except (OSError, ValueError, KeyError, zlib.error) as error:
            raise OgaError(f"The predicted masks in {self.path.parent} cannot be read: {error}. Score again.") from None

    def _content(self) -> dict[str, Any] | None:
        content: dict[str, Any] = json.loads(self.header.read_text()) if self.header.is_file() else {}
        return content or None
