"""Gradient norms of a row's tokens, against gradients taken token by token in a model of its own."""

import numpy as np
import pytest
import torch

from oga_core.models.card import ModelCard
from oga_core.saliency.tokens import token_norms
from oga_core.tasks import task_for
from oga_core.tasks.language.late_head import IGNORED


class NoTokenizer:
    pad_token_id, eos_token_id, bos_token_id = 0, 1, None


class Words(torch.nn.Module):
    """Next-token logits from the last token alone."""

    input_names = ("input_ids",)

    def __init__(self):
        super().__init__()
        self.table, self.head = torch.nn.Embedding(7, 5), torch.nn.Linear(5, 7)

    def forward(self, input_ids):
        return self.head(self.table(input_ids))


def batch_of(ids, start):
    input_ids = torch.tensor([ids])
    labels = input_ids.clone()
    labels[:, :start] = IGNORED
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids), "labels": labels}


@pytest.mark.parametrize("parameters", ["auto", "pattern:head"])
def test_norms_are_those_of_each_tokens_own_loss(parameters):
    torch.manual_seed(0)
    model, task, ids = Words(), task_for(ModelCard("causal_lm", ()), NoTokenizer()), [2, 3, 4, 5, 6, 1]
    norms = token_norms(task, model, batch_of(ids, 3), parameters)
    assert len(norms) == 3
    chosen = list(model.head.parameters()) if parameters == "pattern:head" else list(model.parameters())
    for position, norm in zip((3, 4, 5), norms, strict=True):
        logits = model(torch.tensor([ids[position - 1]]))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([ids[position]]))
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, chosen)]).norm()
        np.testing.assert_allclose(norm, float(expected), rtol=1e-4)


def test_what_asked_for_no_gradient_asks_for_none_afterwards():
    model, task = Words(), task_for(ModelCard("causal_lm", ()), NoTokenizer())
    model.table.weight.requires_grad_(False)
    token_norms(task, model, batch_of([2, 3, 4], 1), "pattern:table")
    assert not model.table.weight.requires_grad
    assert model.head.weight.requires_grad
    assert all(p.grad is None for p in model.parameters())
