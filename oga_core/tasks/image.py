"""Images: a class, a number or several labels each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import logits_of
from oga_core.samples import SampleSet
from oga_core.tasks.losses import PLAIN, Loss, labels_at
from oga_core.tasks.tabular import TabularTask
from oga_core.tasks.task import Batch

_MODES = {1: "L", 3: "RGB"}
_SMALLEST_SHIFTED = 4
IMAGE_INPUT = "image"
"""Name of the input that takes the image, where the card of a model with several does not say it."""


@dataclass(frozen=True)
class ImageTask:
    """Pixels / 255, minus mean, over standard deviation, `(batch, channels, height, width)` float32.

    Images of another size are resized with bilinear interpolation, as torchvision's `Resize((h, w))` does.
    columns: what reads the other inputs of a model with several from the columns beside the image; `image_input` is
    then the name of the one that takes the image.
    """

    size: tuple[int, int]
    channels: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    loss: Loss = PLAIN
    columns: TabularTask | None = None
    image_input: str = ""
    decodes_at_once: ClassVar[bool] = True
    """Whether several threads may make batches at once: archives read under a lock, and decoders hold none."""

    @classmethod
    def from_card(cls, card: ModelCard) -> ImageTask:
        """Read image_size, channels (3), mean (0) and std (1), image and columns from the card."""
        channels = card.input.get("channels", 3)
        if channels not in _MODES:
            raise OgaError(f"'channels' in the model card must be 1 or 3, got {channels!r}.")
        mean = _per_channel(card.input, "mean", 0.0, channels)
        std = _per_channel(card.input, "std", 1.0, channels)
        if not (std > 0).all():
            raise OgaError(f"'std' in the model card must be above 0, got {std.tolist()}.")
        columns = _columns(card)
        return cls(
            _image_size(card.input),
            channels,
            mean,
            std,
            Loss.from_card(card),
            columns,
            "" if columns is None else str(card.input.get("image", IMAGE_INPUT)),
        )

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Decode and normalise the images at `rows`."""
        height, width = self.size
        pixels = np.empty((len(rows), height, width, self.channels), dtype=np.uint8)
        for i, row in enumerate(rows):
            pixels[i] = self.pixels(samples.inputs[int(row)])
        return {"images": self.normalised(pixels), **self.beside(samples, rows), "labels": labels_at(samples, rows)}

    def beside(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """What the model reads beside the images: `values` of their columns, or nothing."""
        return {} if self.columns is None else {"values": self.columns.encoded([samples.rows[int(i)] for i in rows])}

    def answer(self, model: nn.Module, batch: Batch) -> Tensor:
        """What the model says of the images and the columns beside them."""
        if self.columns is None:
            return logits_of(model(batch["images"]))
        return logits_of(model(**{self.image_input: batch["images"], **self.columns.named(batch["values"])}))

    def normalised(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Pixels `(batch, height, width, channels)` as the model gets them, `(batch, channels, height, width)`."""
        # Normalising in place, channels last in memory, is several times cheaper than a broadcast copy.
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32)
        scale = torch.from_numpy(255.0 * self.std).view(1, -1, 1, 1)
        images.sub_(torch.from_numpy(255.0 * self.mean).view(1, -1, 1, 1)).div_(scale)
        return images.contiguous()

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits `(batch, n_classes)`, or one number a sample, `(batch, 1)`."""
        return self.loss.columns(self.answer(model, batch))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The card's loss on the given labels, `(batch,)`."""
        return self.loss(outputs, batch["labels"])

    def views(self, batch: Batch) -> list[Batch]:
        """The mirrored image, and image and mirror shifted by a sixteenth of their shorter side in opposite directions.

        None for images of so few pixels that a shift by one is another image.
        """
        images = batch["images"]
        if min(images.shape[2:]) < _SMALLEST_SHIFTED:
            return []
        mirrored = images.flip(3)
        return [{**batch, "images": view} for view in (mirrored, _shift(images, 1), _shift(mirrored, -1))]

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the image as the model gets it, before it is normalised, `(height, width, channels)`."""
        image = image if image.mode == _MODES[self.channels] else image.convert(_MODES[self.channels])
        height, width = self.size
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.uint8).reshape(height, width, self.channels)


def _shift(images: Tensor, direction: int) -> Tensor:
    """Move the content along the diagonal, mirroring what enters at the border."""
    step = max(1, min(images.shape[2:]) // 16)
    padded = nn.functional.pad(images, (step, step, step, step), mode="reflect")
    start = step + direction * step
    return padded[..., start : start + images.shape[-2], start : start + images.shape[-1]].contiguous()


def _image_size(card_input: Mapping[str, Any]) -> tuple[int, int]:
    value = card_input.get("image_size")
    size: Any = value if isinstance(value, (list, tuple)) else [value, value]
    if len(size) != 2 or not all(isinstance(n, int) and 1 <= n <= 4096 for n in size):
        raise OgaError(f"'image_size' in the model card must be [height, width] in pixels, 1 to 4096, got {value!r}.")
    return (size[0], size[1])


def _columns(card: ModelCard) -> TabularTask | None:
    """What reads the columns beside the images, by the card's section of them, which is as a table's."""
    section = card.input.get("columns")
    if section is None:
        return None
    if not isinstance(section, dict) or not isinstance(section.get("features"), dict):
        raise OgaError(
            "'columns' in the model card must say which columns each further input of the model takes: "
            f'{{"features": {{"meta": ["age", "sex"]}}}}, got {section!r}.'
        )
    return TabularTask.from_card(replace(card, input=section))


def _per_channel(card_input: Mapping[str, Any], name: str, default: float, channels: int) -> NDArray[np.float32]:
    value = card_input.get(name, default)
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float32), (channels,)).copy()
    except (TypeError, ValueError):
        raise OgaError(f"{name!r} in the model card must be {channels} number(s), got {value!r}.") from None
