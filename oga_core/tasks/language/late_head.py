"""The last linear layer of a language model, applied only to the tokens that a loss counts, and to few at a time.

While `LateHead` watches, a model's logits are a stand-in without memory that keeps what the layer was given; the loss
multiplies it out where a token counts. A vocabulary of 150,000 takes 600 MB for a row of 1,000 tokens in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn, overrides
from torch.overrides import TorchFunctionMode

from oga_core.tasks.cross_entropy import late_token_losses, token_losses

IGNORED = -100
"""The label of a token that is not trained on, by torch's and Hugging Face's convention."""
_LINEAR = {F.linear, torch.ops.aten.linear.default}
_FACTORS = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__}
_DIVISORS = {torch.div, Tensor.div, Tensor.__truediv__}
_SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__}


@dataclass(frozen=True)
class HeadInput:
    """What logits are made of: `scale · (states @ weight.T) + bias`.

    states: what the last layer was given, `(…, n_features)`. weight: `(vocabulary, n_features)`. bias: if any.
    """

    states: Tensor
    weight: Tensor
    bias: Tensor | None
    scale: float = 1.0

    def times(self, factor: float) -> HeadInput:
        """Return the same for logits times a number."""
        bias = None if self.bias is None else self.bias * factor
        return replace(self, bias=bias, scale=self.scale * factor)

    def plus(self, bias: Tensor) -> HeadInput:
        """Return the same for logits and one number more for every token of the vocabulary."""
        return replace(self, bias=bias.flatten() if self.bias is None else self.bias + bias.flatten())


def next_token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every token but the first, `(batch, time - 1)`, zero where its label is `IGNORED`.

    logits: `(batch, time, vocabulary)`, or what stands in for them, which is multiplied out where a token counts.
    """
    targets = labels[:, 1:]
    given = head_input(logits)
    if given is None:
        return token_losses(logits[:, :-1].flatten(0, 1), targets.flatten(), IGNORED).view_as(targets)
    states = given.states[:, :-1]
    states = states if given.scale == 1 else states * given.scale
    return late_token_losses(states, given.weight, given.bias, targets, IGNORED)


class LateHead(TorchFunctionMode):
    """Puts a stand-in in the place of the product with a model's output embedding; models without one are left alone.

    A factor, and numbers that are added for every token of the vocabulary, are noted. Whatever else a model does with
    its logits is done with the stand-in, which `head_input` then knows no more.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        layer = output_layer(model)
        self._weight = None if layer is None else layer.weight
        self._is_in_place = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _LINEAR and self._weight is not None:
            given = dict(zip(("input", "weight", "bias"), args, strict=False)) | (kwargs or {})
            if given["weight"] is self._weight:
                self._is_in_place = True
                return _stand_in(HeadInput(given["input"], given["weight"], given.get("bias")))
        noted = _noted(func, args) if self._is_in_place and len(args) == 2 else None
        return func(*args, **(kwargs or {})) if noted is None else _stand_in(noted)


def output_layer(model: nn.Module) -> nn.Linear | None:
    """The linear layer that makes a language model's logits, None where none is known."""
    find = getattr(model, "get_output_embeddings", None)
    layer = find() if callable(find) else None
    return layer if type(layer) is nn.Linear else None


@contextmanager
def unwatched() -> Iterator[None]:
    """Run a model with nothing that watches what functions are called, whatever does around it."""
    modes = []
    while torch._C._len_torch_function_stack():
        modes.append(overrides._pop_mode())
    try:
        yield
    finally:
        for mode in reversed(modes):
            overrides._push_mode(mode)


def head_input(logits: Any) -> HeadInput | None:
    """What a stand-in stands for, None for logits that are there."""
    return getattr(logits, "_oga_head_input", None)


def _noted(func: Any, args: tuple[Any, Any]) -> HeadInput | None:
    """What is known of logits after a factor or numbers for every token; None after anything else."""
    one, other = args if head_input(args[0]) is not None else args[::-1]
    given = head_input(one)
    if given is None:
        return None
    if func in _FACTORS and isinstance(other, (int, float)):
        return given.times(other)
    if func in _DIVISORS and one is args[0] and isinstance(other, (int, float)):
        return given.times(1 / other)
    if func in _SUMS and _is_constant(other) and other.shape[-1:] == given.weight.shape[:1] == (other.numel(),):
        return given.plus(other)
    return None


def _is_constant(value: Any) -> bool:
    """Whether no gradient of a tensor can be wanted."""
    return type(value) is Tensor and not value.requires_grad


def _stand_in(given: HeadInput) -> Tensor:
    shape = (*given.states.shape[:-1], len(given.weight))
    stand_in = given.states.new_zeros(()).expand(shape)
    stand_in._oga_head_input = given  # type: ignore[attr-defined]
    return stand_in
