"""Training dynamics: what several checkpoints of one training run say about a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, negative_margin


def aum(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """Minus the area under the margin: -mean over checkpoints of (z_y - max_{k≠y} z_k), `(n_samples,)`. Pleiss et al.
    2020, arXiv 2001.10528.
    """
    return np.asarray(np.mean([_negative_margins(each) for each in checkpoints], axis=0))


def mean_loss(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """Mean loss over the checkpoints, `(n_samples,)`, 0 or more. Huang et al. 2019 (O2U-Net); Arazo et al. 2019, arXiv
    1904.11238, for why early losses tell.
    """
    return np.asarray(np.mean([each.losses for each in checkpoints], axis=0))


def mean_error(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """1 - mean over checkpoints of the given label's probability, `(n_samples,)`, 0 to 1. Swayamdipta et al. 2020,
    arXiv 2009.10795.

    Low confidence in the terms of dataset cartography.
    """
    return 1 - np.asarray(np.mean(_confidences(checkpoints), axis=0))


def variability(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """Standard deviation over checkpoints t of the given label's probability, std_t p_t(y), `(n_samples,)`, 0 to 0.5.
    Swayamdipta et al. 2020, arXiv 2009.10795.

    High for ambiguous samples rather than wrong ones.
    """
    return np.asarray(np.std(_confidences(checkpoints), axis=0))


def forgetting(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """How often a sample once right is wrong at the next checkpoint; never right counts most, `(n_samples,)`. Toneva et
    al. 2019, arXiv 1812.05159.

    0 to the number of checkpoints.
    """
    right = np.array([_negative_margins(each) < 0 for each in checkpoints])
    events = (right[:-1] & ~right[1:]).sum(axis=0)
    return np.where(right.any(axis=0), events, len(right)).astype(np.float32)


def _confidences(checkpoints: Sequence[GradientSketch]) -> Floats:
    return np.exp(-np.array([each.losses for each in checkpoints]))


def _negative_margins(sketch: GradientSketch) -> Floats:
    assert sketch.logits is not None, "this score needs the logits of a classifier"
    return negative_margin(sketch.logits, sketch.given_labels)
