"""How much each token of a language model's row pulls at the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.tasks.task import Batch, TokenTask

_UNCHOSEN = ("auto", "head")  # of rows for a language model a pass then takes the trainable parameters


def token_norms(task: TokenTask, model: nn.Module, batch: Batch, parameters: str) -> list[float]:
    """The L2 norm of the gradient of each trained token's loss, in their order; the mean of the gradients is the row's.

    batch: one row. parameters: the run's choice. One backward pass a token.
    """
    weights = list(choose_parameters(model, "all" if parameters in _UNCHOSEN else parameters).values())
    required = [p.requires_grad for p in weights]
    for p in weights:
        p.requires_grad_()
    try:
        losses = task.token_losses(task.outputs(model, batch), batch)
        counted = losses[batch["labels"][:, 1:] >= 0]
        return [round(_norm(loss, weights), 5) for loss in counted]
    finally:
        for p, asked in zip(weights, required, strict=True):
            p.requires_grad_(asked)


def _norm(loss: Tensor, parameters: list[nn.Parameter]) -> float:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return float(torch.stack([gradient.float().norm() for gradient in gradients]).norm())
