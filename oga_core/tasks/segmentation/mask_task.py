"""Images whose pixels have a class each, as in semantic segmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from oga_core.errors import OgaError, UntrainedSample
from oga_core.readers.masks.mask_data import resized
from oga_core.readers.masks.masks import UNCOUNTED as NO_CLASS
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.image import ImageTask
from oga_core.tasks.losses import UNCOUNTED
from oga_core.tasks.task import Batch


@dataclass(frozen=True)
class MaskTask(ImageTask):
    """Images as a classifier gets them, with `labels` `(batch, height, width)`: class indices, -100 for no class.

    Masks of another size than the model's input take the nearest pixel. The loss is the mean over the pixels that have
    a class. Outputs of another size than the input are enlarged bilinearly, as torchvision's segmentation models do.
    """

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Decode the images and masks at `rows`.

        A mask of another size than its image, and one without any class, raises `UnreadableSample`.
        """
        height, width = self.size
        pixels = np.empty((len(rows), height, width, self.channels), dtype=np.uint8)
        labels = np.empty((len(rows), height, width), dtype=np.int64)
        for i, row in enumerate(rows):
            image = samples.inputs[int(row)]
            pixels[i] = self.pixels(image)
            labels[i] = resized(mask_of(samples, int(row), image), self.size)
            if (labels[i] == NO_CLASS).all():
                raise UntrainedSample("no pixel of its mask has a class")
        labels[labels == NO_CLASS] = UNCOUNTED
        return {"images": self.normalised(pixels), **self.beside(samples, rows), "labels": torch.from_numpy(labels)}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits `(batch, n_classes, height, width)`, of the labels' size. Raises `OgaError` for another shape."""
        outputs = self.answer(model, batch)
        if outputs.ndim != 4:
            raise OgaError(
                f"The model answers with shape {tuple(outputs.shape)}; its loss compares a class for every pixel, "
                "(batch, classes, height, width)."
            )
        size = batch["labels"].shape[1:]
        if outputs.shape[2:] == size:
            return outputs
        return nn.functional.interpolate(outputs, size=size, mode="bilinear", align_corners=False)

    def views(self, batch: Batch) -> list[Batch]:
        """None: the mask of a shifted image is another."""
        return []


def mask_of(samples: SampleSet, row: int, image: Image.Image) -> NDArray[np.int32]:
    """The class indices of an image's pixels, `(height, width)`; raises `UnreadableSample` where the sizes differ."""
    assert samples.masks is not None, "the card reads the labels as masks"
    mask: NDArray[np.int32] = samples.masks[row]
    height, width = mask.shape
    if (width, height) != image.size:
        raise UnreadableSample(
            f"its mask has {width} × {height} pixels and its image {image.width} × {image.height}; they must be equal"
        )
    return mask
