"""The last linear layer of a language model, applied only to the tokens that a loss counts, and to few at a time.

While `LateHead` watches, a model's logits are a stand-in without memory that keeps what the layer was given; the loss
multiplies it out where a token counts. A vocabulary of 150,000 takes 600 MB for a row of 1,000 tokens in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_LINEAR = {F.linear, torch.ops.aten.linear.default}


@dataclass(frozen=True)
class HeadInput:
    """What the last layer was given: states `(…, n_features)`, weight `(vocabulary, n_features)`, and bias if any."""

    states: Tensor
    weight: Tensor
    bias: Tensor | None


class LateHead(TorchFunctionMode):
    """Puts a stand-in in the place of the product with a model's output embedding; models without one are left alone.

    What a model does with its logits afterwards is done with the stand-in, which `head_input` then knows no more.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        layer = output_layer(model)
        self._weight = None if layer is None else layer.weight

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _LINEAR and self._weight is not None:
            given = dict(zip(("input", "weight", "bias"), args, strict=False)) | (kwargs or {})
            if given["weight"] is self._weight:
                return _stand_in(HeadInput(given["input"], given["weight"], given.get("bias")))
        return func(*args, **(kwargs or {}))


def output_layer(model: nn.Module) -> nn.Linear | None:
    """The linear layer that makes a language model's logits, None where none is known."""
    find = getattr(model, "get_output_embeddings", None)
    layer = find() if callable(find) else None
    return layer if type(layer) is nn.Linear else None


def head_input(logits: Tensor) -> HeadInput | None:
    """What a stand-in stands for, None for logits that are there."""
    return getattr(logits, "_oga_head_input", None)


def _stand_in(given: HeadInput) -> Tensor:
    shape = (*given.states.shape[:-1], len(given.weight))
    stand_in = given.states.new_zeros(()).expand(shape)
    stand_in._oga_head_input = given  # type: ignore[attr-defined]
    return stand_in
