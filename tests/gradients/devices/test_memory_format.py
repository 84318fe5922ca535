"""Filters that lie channel by channel where a card wants them so: the rule, and that gradients stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, exact_norms, random_samples
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients.cards import memory_format
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass

CARD = torch.device("cuda")
CPU = torch.device("cpu")


class Network(nn.Module):
    """Convolutions of each kind that has a rule of its own, with norms and a residual path; notes how images lie."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.wide = nn.Conv2d(16, 96, 3, stride=2, padding=1, bias=False)  # whose gradient is projected
        self.depthwise = nn.Conv2d(96, 96, 3, padding=1, groups=96)
        self.group = nn.GroupNorm(4, 96)
        self.narrow = nn.Conv2d(96, 16, 1)
        self.up = nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.head = nn.Linear(16, 3)
        self.seen = set()

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        inner = self.group(self.depthwise(self.wide(x).relu())).relu()
        self.seen.add((inner.shape[0] > 1, inner.is_contiguous(memory_format=torch.channels_last)))
        return self.head((x + self.up(self.narrow(inner))).mean((2, 3)))


def test_gradients_are_the_same_and_the_model_stays_as_it_is(tmp_path, monkeypatch):
    model = Network().eval()
    samples = random_samples(9, 3, 8, 8)
    options = PassOptions(parameters="all", batch_size=4, exact_l1=True)
    plain = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "plain", options=options)
    assert (True, True) not in model.seen
    before = {name: (p.stride(), p.data_ptr(), p.detach().clone()) for name, p in model.named_parameters()}
    monkeypatch.setattr(memory_format, "suits_channels_last", lambda device, precision, model: True)
    model.seen.clear()
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "last", options=options)
    assert {last for several, last in model.seen if several} == {True}
    assert result.notes == plain.notes == ()
    assert result.sketch.check_error < 1e-5
    l1, l2 = exact_norms(model, samples)
    np.testing.assert_allclose(result.sketch.l2_norm_all, l2, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.l1_norm_all, l1, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.sketch, plain.sketch.sketch, rtol=1e-4, atol=1e-5)
    for name, p in model.named_parameters():
        stride, address, values = before[name]
        assert (p.stride(), p.data_ptr()) == (stride, address)
        assert torch.equal(p, values)


def test_filters_lie_as_before_where_a_pass_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_format, "suits_channels_last", lambda device, precision, model: True)
    model = Network().eval()
    before = model.wide.weight.stride()
    with pytest.raises(OgaError):
        gradient_pass(ArrayTask(), model, random_samples(4, 2, 8, 8), folder=tmp_path)
    assert model.wide.weight.stride() == before


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        (CARD, "tf32", True),
        (CARD, "bfloat16", True),
        (CARD, "float32", False),
        (CPU, "bfloat16", False),
    ],
)
def test_channels_lie_last_for_convolutions_of_short_numbers_on_a_card(device, precision, expected):
    assert memory_format.suits_channels_last(device, precision, Network()) is expected


def test_what_is_more_than_convolutions_keeps_its_order():
    patches = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.Linear(4, 4), nn.Linear(4, 4))
    assert not memory_format.suits_channels_last(CARD, "bfloat16", patches)
    assert memory_format.suits_channels_last(CARD, "float32", Network().half())
