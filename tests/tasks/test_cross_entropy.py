"""Chunked cross-entropy against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from oga_core.tasks import cross_entropy
from oga_core.tasks.cross_entropy import token_losses


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12), (torch.bfloat16, 8e-3)]
)
@pytest.mark.parametrize("numbers", [70, 10_000])  # several chunks, or one
def test_losses_and_gradients_are_those_of_torch(dtype, tolerance, numbers, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", numbers)
    torch.manual_seed(0)
    logits = (3 * torch.randn(9, 31)).to(dtype).requires_grad_()
    targets = torch.tensor([0, 30, -100, 4, 4, 7, -100, 12, 1])
    losses = token_losses(logits, targets)
    exact = F.cross_entropy(logits.double(), targets, reduction="none")
    torch.testing.assert_close(losses.double(), exact, rtol=tolerance, atol=1e-6)
    weights = torch.rand(9, dtype=losses.dtype)
    gradient = torch.autograd.grad(losses @ weights, logits)[0]
    wanted = torch.autograd.grad(exact @ weights.double(), logits)[0]
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient.double(), wanted.double(), rtol=tolerance, atol=tolerance)


def test_the_whole_is_never_held_in_float32(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 1000)
    largest = []
    wide = cross_entropy._wide
    monkeypatch.setattr(cross_entropy, "_wide", lambda part: largest.append(part.numel()) or wide(part))
    logits = torch.randn(64, 100).bfloat16().requires_grad_()
    token_losses(logits, torch.arange(64)).sum().backward()
    assert max(largest) <= 1000


def test_it_runs_by_vmap(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 70)
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 9, 31).bfloat16(), torch.randint(0, 31, (4, 9))
    gradients = torch.func.vmap(torch.func.grad(lambda z, y: token_losses(z, y).sum()))(logits, targets)
    one = torch.stack(
        [torch.func.grad(lambda z, y: token_losses(z, y).sum())(*pair) for pair in zip(logits, targets, strict=True)]
    )
    torch.testing.assert_close(gradients, one)
