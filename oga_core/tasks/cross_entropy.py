"""Cross-entropy of tokens over large vocabularies, in float32 for a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

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


def late_token_losses(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Return the cross-entropy of the logits `states @ weight.T + bias` of every row, `(rows,)`, a few rows at a time.

    states: `(rows, n_features)`. Gradients flow to the states alone, and are made with the losses, so that no logits
    are kept or computed twice. Hsu et al. 2024, Liger Kernel, arXiv 2410.10989.
    """
    losses: Tensor = _LateTokenLosses.apply(states, weight, bias, targets)
    return losses


class _LateTokenLosses(torch.autograd.Function):
    """Losses of rows of states, with (softmax - one-hot) @ weight, a chunk of logits at a time."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        losses, gradients = [], []
        for part in _chunks(len(states), len(weight)):
            logits = _wide(torch.nn.functional.linear(states[part], weight, bias))
            sums = logits.logsumexp(1)
            losses.append(sums - logits.gather(1, targets[part, None])[:, 0])
            if ctx.needs_input_grad[0]:
                rows = _row_gradients(logits, targets[part], sums, torch.ones_like(sums))
                gradients.append((rows.to(weight.dtype) @ weight).to(states.dtype))
        ctx.save_for_backward(*([torch.cat(gradients)] if gradients else []))
        return torch.cat(losses) if losses else states.new_zeros(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        (rows,) = ctx.saved_tensors
        return (rows * gradient[:, None]).to(rows.dtype), None, None, None


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
    shares = (_wide(logits) - sums[:, None]).exp()
    hit = torch.ones_like(sums)[:, None]
    return (shares.scatter_add(1, targets[:, None], -hit) * gradient[:, None]).to(logits.dtype)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.element_size() < 4 else logits


def _chunks(rows: int, vocabulary: int) -> Iterator[slice]:
    step = max(1, CHUNK_NUMBERS // vocabulary)
    for start in range(0, rows, step):
        yield slice(start, start + step)
