"""Models whose gradients are not those of their weights and inputs alone, or are of a kind that no method computes."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from engine_helpers import ArrayTask, assert_exact, random_samples
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients.failures import model_runs
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.pt2.program import GraphRunError


class Net(nn.Module):
    """Two linear layers; `middle(model, x)` is between them."""

    def __init__(self, middle, **parts):
        super().__init__()
        self.body, self.head, self.middle = nn.Linear(6, 6), nn.Linear(6, 3), middle
        for name, part in parts.items():
            self.register_buffer(name, part) if not isinstance(part, nn.Parameter) else setattr(self, name, part)

    def forward(self, x):
        return self.head(self.middle(self, self.body(x)))


def follow(model, x):
    model.kept.mul_(0.9).add_(0.1 * x.detach().mean(0))
    return x - model.kept


def count(model, x):
    model.kept += 1
    return x.tanh()


COMPLEX = Net(lambda m, x: (x.to(torch.cfloat) @ m.turn).abs(), turn=nn.Parameter(torch.eye(6, dtype=torch.cfloat)))
REFUSED = {
    "random": (Net(lambda m, x: F.dropout(x, 0.5)), "other gradients for the same samples each time"),
    "buffer": (Net(follow, kept=torch.zeros(6)), "writes into kept whenever it runs, in eval mode too"),
    "complex": (COMPLEX, r"parameter turn is complex.*torch\.view_as_complex\(self\.turn\)"),
    "in place": (Net(lambda m, x: x.relu_().mul_(m.body.bias)), r"Training it would fail alike: write y = y \* 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_gradient_of_its_own_is_refused(name, tmp_path):
    model, message = REFUSED[name]
    with pytest.raises(OgaError, match=message):
        gradient_pass(ArrayTask(), model, random_samples(9, 6), folder=tmp_path, options=PassOptions(parameters="all"))
    if name == "buffer":
        assert not model.kept.any(), "a refused model keeps what it had"


def test_a_buffer_that_changes_no_output_is_no_hindrance(tmp_path):
    assert_exact(Net(count, kept=torch.zeros(())), random_samples(9, 6), tmp_path)


@pytest.mark.parametrize("options", [{"sparse": True}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}])
def test_embeddings_of_every_kind_are_exact(options, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 6, **options), nn.Flatten(), nn.Linear(24, 3))
    assert_exact(model, random_samples(9, 4, tokens=5), tmp_path)


@pytest.mark.parametrize(
    ("got", "advice"), [("x (1, 4), target (1, 1)", "--label-column x,y"), ("x (1, 3), target (1, 2)", "image_size")]
)
def test_a_model_that_does_not_fit_says_whether_labels_or_inputs_are_others(got, advice):
    message = f"The model takes x (1, 4), target (1, 2); got {got}."
    with pytest.raises(OgaError, match=re.escape(advice)), model_runs({"labels": torch.zeros(1)}):
        raise GraphRunError(message)
