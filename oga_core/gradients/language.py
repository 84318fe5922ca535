"""What one forward pass shows of a language model's rows: what was asked, what was answered, and token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from oga_core.gradient_sketch import TOKEN_LOSSES
from oga_core.gradients.hooks.forward_capture import product_of
from oga_core.tasks.language.late_head import head_input
from oga_core.tasks.task import Batch

if TYPE_CHECKING:
    from oga_core.gradients.factors.sketching import Sketcher

STATE_SIZE = 512
"""Numbers of each state that are kept, by random projection where a model is wider: dot products stay within a few per
cent, and a regression on two of them is solved in a second."""
_LARGEST = float(torch.finfo(torch.float16).max)


def language_arrays(outputs: Tensor, token_losses: Tensor, batch: Batch, sketcher: Sketcher) -> dict[str, Tensor]:
    """States and counts of a batch of rows, `(batch, …)` each, by the names of `GradientSketch`.

    outputs: logits `(batch, time, vocabulary)`. token_losses: `(batch, time - 1)`, zero where none is trained on.
    Token losses come as they are kept, `(batch, time - 1)` in float16, -1 where a token is not trained on.
    The prompt is what stands before the first trained token. Without a last linear layer there are no states.
    """
    trained = batch["labels"][:, 1:] >= 0  # as the losses are numbered: of the token that comes next
    token_losses = token_losses.detach().float()
    first = trained.int().argmax(1)
    last = trained.shape[1] - 1 - trained.flip(1).int().argmax(1)
    rows = torch.arange(len(trained), device=trained.device)
    arrays = {
        TOKEN_LOSSES: token_losses.clamp(0, _LARGEST).half().where(trained, -1),
        "response_lengths": trained.sum(1).float(),
        "end_losses": token_losses[rows, last],
        "peak_losses": token_losses.amax(1),
        "new_token_shares": _new_token_shares(batch, trained, first),
    }
    states = _states_behind(outputs)
    if states is not None and states.shape[:2] == outputs.shape[:2]:
        arrays |= _states(states.detach().float(), batch, trained, first, sketcher)
    return arrays


def _states_behind(outputs: Tensor) -> Tensor | None:
    """What the last linear layer was given, `(batch, time, n_features)`, whether its logits are there or not."""
    given, product = head_input(outputs), product_of(outputs)
    if given is not None:
        return given.states
    return None if product is None else product.features


def _states(states: Tensor, batch: Batch, trained: Tensor, first: Tensor, sketcher: Sketcher) -> dict[str, Tensor]:
    """The last prompt token's state and the means over prompt and response, in float16."""
    positions = torch.arange(states.shape[1], device=states.device)
    prompt = (positions <= first[:, None]) & (batch.get("attention_mask", torch.ones_like(batch["input_ids"])) > 0)
    response = torch.nn.functional.pad(trained, (1, 0))  # the states of the trained tokens themselves
    vectors = {
        "prompt_states": states[torch.arange(len(states), device=states.device), first],
        "prompt_means": _mean(states, prompt),
        "response_means": _mean(states, response),
    }
    with torch.autocast(states.device.type, enabled=False):  # which would round the projection
        parts = {name: sketcher.project("language states", "right", part, STATE_SIZE) for name, part in vectors.items()}
    return {name: part.clamp(-_LARGEST, _LARGEST).half() for name, part in parts.items()}


def _mean(states: Tensor, counted: Tensor) -> Tensor:
    weights = counted.to(states.dtype)
    return torch.einsum("bt,btc->bc", weights / weights.sum(1, keepdim=True).clamp(min=1), states)


def _new_token_shares(batch: Batch, trained: Tensor, first: Tensor) -> Tensor:
    """Share of the trained tokens that don't occur in the prompt, `(batch,)`, 0 to 1."""
    ids = batch["input_ids"]
    prompts = batch.get("prompt_ids", ids)
    inside = torch.ones_like(prompts, dtype=torch.bool)
    if "prompt_ids" not in batch:
        inside = torch.arange(ids.shape[1], device=ids.device) <= first[:, None]
    # Ids of different rows are made different, so that one look tells of all rows which are in their own prompt.
    row = torch.arange(len(ids), device=ids.device)[:, None] * (1 + torch.maximum(ids.max(), prompts.max()))
    known = torch.isin(ids + row, (prompts + row)[inside])
    return (trained & ~known[:, 1:]).sum(1) / trained.sum(1)
