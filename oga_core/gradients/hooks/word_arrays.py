"""What one forward pass shows of sentences, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from oga_core.gradients.hooks.forward_capture import middle_features, product_of

if TYPE_CHECKING:
    from oga_core.gradients.factors.sketching import Sketcher

FEATURES_SIZE = 768
"""Numbers of a word's last features that are kept, by random projection where a model is wider: BERT-base has as many.
"""
_LARGEST = float(torch.finfo(torch.float16).max)


def word_arrays(
    outputs: Tensor, pooled: Sequence[Tensor], middle: Sequence[int], batch: dict[str, Tensor], sketcher: Sketcher
) -> dict[str, Tensor]:
    """Tags, logits and features of a batch of sentences, `(batch, time, …)`, tags -1 where no word begins.

    outputs: logits `(batch, time, n_classes)`. pooled: inputs of the layers at `middle`, one a token.
    Without a last linear layer there are no features.
    """
    begins = batch["word_places"] >= 0
    arrays = {
        "word_tags": batch["labels"].where(begins, -1),
        "word_places": batch["word_places"],
        "word_forms": batch["word_forms"],
        "word_logits": outputs.detach().float(),
    }
    product = product_of(outputs)
    with torch.autocast(outputs.device.type, enabled=False):  # which would round the projection
        if product is not None and product.features.shape[:2] == begins.shape:
            features = product.features.detach().float()
            arrays["word_features"] = _kept(sketcher.project("word features", "right", features, FEATURES_SIZE), begins)
        inputs = middle_features(pooled, middle, sketcher)
    if inputs is not None and inputs.shape[:2] == begins.shape and inputs.ndim == 3:
        arrays["word_middle"] = _kept(inputs, begins)
    return arrays


def _kept(values: Tensor, begins: Tensor) -> Tensor:
    return values.clamp(-_LARGEST, _LARGEST).half() * begins[:, :, None]
