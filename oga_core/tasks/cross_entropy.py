"""Cross-entropy of tokens over large vocabularies, in float32 for a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

CHUNK_NUMBERS = 2**26  # of logits in float32 at a time, 256 MiB


def token_losses(logits: Tensor, targets: Tensor, ignored: int = -100) -> Tensor:
    """Return the cross-entropy of every row, `(rows, vocabulary)` and `(rows,)`; zero where the target is `ignored`.

    Logits of 16 bits, or too many of them, are never held in float32 as a whole, nor is their gradient.
    """
    if logits.element_size() >= 4 and logits.numel() <= CHUNK_NUMBERS:
        return torch.nn.functional.cross_entropy(logits, targets, reduction="none", ignore_index=ignored)
    counted = targets != ignored
    losses, _ = _TokenLosses.apply(logits, targets.where(counted, 0))
    return losses * counted


def late_token_losses(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, ignored: int = -100
) -> Tensor:
    """Return the cross-entropy of the logits `states @ weight.T + bias` of every target, zero where it is `ignored`.

    states: `(…, n_features)`. targets: `(…)`. Logits are made of a few targets at a time and never kept: gradients at
    the states with the losses, of the layer's own parameters in the backward pass. What watches functions sees this
    one as a whole. Hsu et al. 2024, Liger Kernel, arXiv 2410.10989.
    """
    if has_torch_function((states, weight)):
        given = (states, weight, bias, targets, ignored)
        watched: Tensor = handle_torch_function(late_token_losses, (states, weight), *given)
        return watched
    counted = targets != ignored
    losses = _LateTokenLosses.apply(states[counted], weight, bias, targets[counted])
    return losses.new_zeros(targets.shape).masked_scatter(counted, losses)


def logit_gradients(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient at the logits of losses whose own is `gradient`, `(rows, vocabulary)`.

    states: `(rows, n_features)`. targets: `(rows,)`, none of them ignored.
    """
    logits = _late_logits(states, weight, bias)
    return _row_gradients(logits, targets, _wide(logits).logsumexp(1), gradient)


class _LateTokenLosses(torch.autograd.Function):
    """Losses of rows of states, with (softmax - one-hot) @ weight, a chunk of logits at a time."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        losses, gradients = [], []
        at_once = ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:3])
        for part in _chunks(len(states), len(weight)):
            logits = _wide(_late_logits(states[part], weight, bias))
            sums = logits.logsumexp(1)
            losses.append(sums - logits.gather(1, targets[part, None])[:, 0])
            if at_once:
                rows = _row_gradients(logits, targets[part], sums, torch.ones_like(sums))
                gradients.append((rows.to(weight.dtype) @ weight).to(states.dtype))
        ctx.at_once = at_once
        ctx.save_for_backward(*([torch.cat(gradients)] if gradients else [states, weight, bias, targets]))
        return torch.cat(losses) if losses else states.new_zeros(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        if not ctx.at_once:
            return *_late_gradients(ctx.saved_tensors, gradient, ctx.needs_input_grad), None
        (rows,) = ctx.saved_tensors
        return (rows * gradient[:, None]).to(rows.dtype), None, None, None


def _late_gradients(
    saved: tuple[Tensor, Tensor, Tensor | None, Tensor], gradient: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients at states, weight and bias, those that are `wanted`; sums are in float32 at least."""
    states, weight, bias, targets = saved
    of_states = torch.zeros_like(states) if wanted[0] else None
    of_weight = torch.zeros_like(_wide(weight)) if wanted[1] else None
    of_bias = torch.zeros_like(_wide(bias)) if bias is not None and wanted[2] else None
    for part in _chunks(len(states), len(weight)):
        rows = logit_gradients(states[part], weight, bias, targets[part], gradient[part])
        if of_states is not None:
            of_states[part] = rows @ weight.to(rows.dtype)
        if of_weight is not None:
            of_weight += rows.T @ states[part].to(rows.dtype)
        if of_bias is not None:
            of_bias += rows.sum(0, dtype=of_bias.dtype)
    return of_states, None if of_weight is None else of_weight.to(weight.dtype), of_bias


def _late_logits(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Logits in the dtype of the states: a backward pass has no autocast that would see to it."""
    return torch.nn.functional.linear(states, weight.to(states.dtype), None if bias is None else bias.to(states.dtype))


class _TokenLosses(torch.autograd.Function):
    """log Σ exp(logits) - logit of the target, with its gradient softmax - one-hot in the logits' own dtype."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        sums = torch.cat([_wide(logits[part]).logsumexp(1) for part in _chunks(*logits.shape)])
        return sums - logits.gather(1, targets[:, None])[:, 0].to(sums.dtype), sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        logits, targets, sums = ctx.saved_tensors
        parts = [
            _row_gradients(logits[part], targets[part], sums[part], gradient[part]) for part in _chunks(*logits.shape)
        ]
        return torch.cat(parts) if len(parts) > 1 else parts[0], None


def _row_gradients(logits: Tensor, targets: Tensor, sums: Tensor, gradient: Tensor) -> Tensor:
    shares = (_wide(logits) - sums[:, None]).exp_()  # in place from here: these are the largest tensors of a pass
    shares.scatter_add_(1, targets[:, None], -torch.ones_like(sums)[:, None])
    return shares.mul_(gradient[:, None]).to(logits.dtype)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.element_size() < 4 else logits


def rows_at_a_time(vocabulary: int) -> int:
    """Return how many rows of logits may be held in float32."""
    return max(1, CHUNK_NUMBERS // vocabulary)


def _chunks(rows: int, vocabulary: int) -> Iterator[slice]:
    step = rows_at_a_time(vocabulary)
    for start in range(0, rows, step):
        yield slice(start, start + step)
