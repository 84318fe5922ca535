"""Networks for images against gradients computed one by one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from engine_helpers import N_CLASSES, ArrayTask, assert_exact, random_samples
from torch import nn

from oga_core.gradients.hooks import rules_normalisation
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass


class InPlaceAfterBatchNorm(nn.Module):
    """The trap: what a hook on the normalisation would see later is the activation's output."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, N_CLASSES)
        self.norm.running_mean.uniform_(-1, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.norm(self.relu(self.conv(x))))
        return self.head(x.mean((2, 3)))


def backward_on_a_card(gradient, data, weight, mean, variance, saved_mean, saved_deviation, training, eps, wanted):
    """What a card's kernel does where the input's gradient is not wanted: it reads the saved statistics only."""
    normalised = (data - saved_mean[None, :, None]) * saved_deviation[None, :, None]
    return None, (gradient * normalised).sum((0, 2)), gradient.sum((0, 2))


def test_batch_norm_on_a_card_uses_the_running_statistics(tmp_path, monkeypatch):
    model = InPlaceAfterBatchNorm()
    with torch.no_grad():
        model.norm.running_var.uniform_(0.2, 3)
    card = SimpleNamespace(native_batch_norm_backward=backward_on_a_card)
    monkeypatch.setattr(rules_normalisation, "aten", card)
    options = PassOptions(parameters="all")
    result = gradient_pass(ArrayTask(), model, random_samples(6, 3, 8, 8), folder=tmp_path, options=options)
    assert result.notes == ()
    assert result.sketch.check_error < 1e-5


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.layer, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3), nn.Linear(3, N_CLASSES)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        small = self.norm(self.conv(F.avg_pool2d(x, 2)).tanh()).mean((2, 3))
        x = self.norm(self.conv(self.norm(self.conv(x).tanh()))).mean((2, 3))
        return self.head(self.layer(self.layer(x).tanh()) + small)


@pytest.mark.parametrize("model", [InPlaceAfterBatchNorm, Shared])
def test_image_models(model, tmp_path):
    torch.manual_seed(0)
    assert_exact(model(), random_samples(8, 3, 8, 8), tmp_path)


class Frames(nn.Module):
    """Frames of a video are folded into the batch; with three channels or five, that can look like another layout."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, N_CLASSES)

    def forward(self, x):
        n, time = x.shape[:2]
        x = self.norm(self.conv(x.flatten(0, 1))).relu().mean((2, 3))
        return self.head(x.view(n, time, -1).mean(1))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 7])
def test_sizes_of_the_model_that_look_like_the_batch(channels, tmp_path):
    assert_exact(Frames(channels), random_samples(9, 5, channels, 6, 6), tmp_path, batch_size=4)


def test_weights_and_flags_are_left_as_they_were(tmp_path):
    model = InPlaceAfterBatchNorm()
    model.head.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_pass(
        ArrayTask(), model, random_samples(8, 3, 8, 8), folder=tmp_path, options=PassOptions(parameters="all")
    )
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {"head.bias"}
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
