"""What one forward pass shows of images, pixel by pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.pixels.predicted_masks import PREDICTED
from oga_core.tasks.losses import UNCOUNTED

CELLS = 32
"""Along each axis of an image, in which losses are kept: fine enough to show where, at 2 KB a sample."""
_LARGEST = float(torch.finfo(torch.float16).max)


def pixel_arrays(outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Predicted masks, losses by region and counts of pixels of a batch, by the names of `GradientSketch`.

    outputs: logits `(batch, n_classes, height, width)`. labels: `(batch, height, width)`, -100 without a class.
    """
    predicted = outputs.argmax(dim=1)
    counted = labels != UNCOUNTED
    losses = F.cross_entropy(outputs.float(), labels, reduction="none", ignore_index=UNCOUNTED)
    height, width = (min(side, CELLS) for side in labels.shape[1:])
    shares = F.adaptive_avg_pool2d(counted.float()[:, None], (height, width))[:, 0]
    means = F.adaptive_avg_pool2d(losses[:, None], (height, width))[:, 0] / shares.clamp(min=1e-9)
    kinds = region_kinds(labels, outputs.shape[1], (height, width))
    right = ((predicted == labels) & counted).flatten(1).sum(dim=1)
    return {
        PREDICTED: predicted.to(torch.uint8 if outputs.shape[1] <= 256 else torch.uint16),
        "region_losses": means.clamp(max=_LARGEST).where(shares > 0, -1.0).half(),
        "region_kinds": kinds.where(shares > 0, -1),
        "pixels": torch.stack([right, counted.flatten(1).sum(dim=1)], dim=1),
    }


def region_kinds(labels: Tensor, n_classes: int, size: tuple[int, int]) -> Tensor:
    """Twice the class that most of every cell has, and one more at the edge of an area of it, `(batch, *size)` int32.

    labels: `(batch, height, width)`, -100 without a class.
    """
    best = labels.new_zeros((len(labels), *size), dtype=torch.float32)
    classes = labels.new_zeros((len(labels), *size), dtype=torch.int32)
    whole = F.adaptive_avg_pool2d((labels != UNCOUNTED).float(), size)
    for index in range(n_classes):
        share = F.adaptive_avg_pool2d((labels == index).float(), size)
        classes = torch.where(share > best, index, classes)
        best = torch.maximum(best, share)
    edge = best < whole
    edge[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    edge[:, :-1] |= classes[:, 1:] != classes[:, :-1]
    edge[:, :, 1:] |= classes[:, :, 1:] != classes[:, :, :-1]
    edge[:, :, :-1] |= classes[:, :, 1:] != classes[:, :, :-1]
    return 2 * classes + edge.int()
