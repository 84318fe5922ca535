"""Models that a fast method does not suit: each is computed by a slower one, or refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, assert_exact, exact_norms, random_samples
from test_gradient_images import InPlaceAfterBatchNorm
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from oga_core.errors import OgaError
from oga_core.gradients.hooks.tape import Site
from oga_core.gradients.methods.oracle import loop_gradients, vmap_gradients
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass


class Packed(nn.Module):
    """A layer that neither hooks nor vmap have a way for: packed rows that were changed do not say whose they are."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        packed = pack_padded_sequence(x, [x.shape[1]] * len(x), batch_first=True)
        return self.head(self.layer(packed._replace(data=packed.data * 2))[1][0])


class NoRule(nn.Module):
    """Parameters met by functions without a rule, with a layer that has one before and behind."""

    def __init__(self, shape: tuple[int, ...], function):
        super().__init__()
        self.first, self.head, self.function = nn.Linear(6, 6), nn.Linear(6, 3), function
        self.weight = nn.Parameter(torch.randn(*shape))

    def forward(self, x):
        return self.head(self.function(self.first(x).tanh(), self.weight).tanh())


def two_views(x: Tensor, weight: Tensor) -> Tensor:
    one, other = nn.functional.conv1d(torch.cat([x[:, None], x.flip(1)[:, None] * 2]), weight).tanh().chunk(2)
    return (one * other).mean(2)


def looked_up(x: Tensor, weight: Tensor) -> Tensor:
    return weight[x.argsort(1)[:, 0]] * x


NO_RULE = {
    "two parameters": lambda: NoRule((6, 6), lambda x, w: torch.einsum("bi,ij,oj->bo", x, w, w)),
    "convolution of two views, joined": lambda: NoRule((6, 1, 1), two_views),
    "lookup": lambda: NoRule((6, 6), looked_up),
}


@pytest.mark.parametrize("name", NO_RULE)
def test_functions_without_a_rule_are_computed_by_vmap(name, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model, samples = NO_RULE[name](), random_samples(9, 6)
    asked = []

    def watched(task, model, batch, parameters, scale=1.0):
        asked.append(list(parameters))
        yield from vmap_gradients(task, model, batch, parameters, scale)

    monkeypatch.setattr("oga_core.gradients.methods.hooks.vmap_gradients", watched)
    assert_exact(model, samples, tmp_path)
    assert asked
    assert all(names == ["weight"] for names in asked)


def test_what_no_fast_way_computes_is_left_out_and_counted(tmp_path):
    model, samples = Packed(), random_samples(8, 5, 4)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(parameters="all"))
    head = 5 * 3 + 3
    share = head / sum(p.numel() for p in model.parameters())
    assert result.sketch.coverage == pytest.approx(share)
    assert result.sketch.check_error < 1e-5
    assert f"cover {share:.1%} of the parameters; left out are layer.bias_hh_l0, layer." in result.notes[0]
    head_norms = exact_norms(model, samples, {"head.weight", "head.bias"})[1]
    np.testing.assert_allclose(result.sketch.l2_norm_all, head_norms, rtol=1e-4)


def test_a_gradient_of_nothing_is_an_error(tmp_path):
    options = PassOptions(parameters="pattern:layer")
    with pytest.raises(OgaError, match=r"no way to compute the gradient of layer\.bias_hh_l0, .*--parameters head"):
        gradient_pass(ArrayTask(), Packed(), random_samples(8, 5, 4), folder=tmp_path, options=options)


@pytest.mark.parametrize(("name", "value"), [("VMAP_BYTES", 4 * 35), ("_SMALL", 80)])
def test_vmap_is_not_tried_where_it_costs_more_than_it_gives(name, value, tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.methods.hooks._WORTH_VMAP", 0.4)  # the weight is 36 of 99 numbers
    monkeypatch.setattr(f"oga_core.gradients.methods.hooks.{name}", value)
    options = PassOptions(parameters="all")
    result = gradient_pass(ArrayTask(), NO_RULE["lookup"](), random_samples(9, 6), folder=tmp_path, options=options)
    assert result.sketch.coverage == pytest.approx(1 - 36 / 99)
    assert result.notes == ("The gradients cover 63.6% of the parameters; left out are weight.",)


class Detached(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(6, 6), nn.Linear(6, 3), how

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                x = self.body(x)
        else:
            x = self.body(x).detach()
        logits = self.head(x)
        return nn.functional.one_hot(logits.argmax(1), 3).float() if self.how == "argmax" else logits


@pytest.mark.parametrize(
    ("how", "choice"), [("no_grad", "pattern:body"), ("detach", "pattern:body"), ("argmax", "all")]
)
def test_a_loss_that_does_not_depend_on_the_parameters(how, choice, tmp_path):
    with pytest.raises(OgaError, match=r"loss does not depend on body\.bias, .*Choose --parameters head"):
        gradient_pass(
            ArrayTask(), Detached(how), random_samples(8, 6), folder=tmp_path, options=PassOptions(parameters=choice)
        )


class Experts(nn.Module):
    """Each sample goes to one of three layers, chosen by its content."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.gate, self.head = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        shares = self.gate(x).softmax(1)
        best, out = shares.argmax(1), torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (best == i).nonzero()[:, 0]
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]).tanh() * shares[rows, i][:, None])
        return self.head(out)


@pytest.mark.parametrize("seed", range(4))
def test_samples_routed_by_their_content(seed, tmp_path):
    torch.manual_seed(seed)
    model, samples = Experts().eval(), random_samples(40, 6)
    options = PassOptions(parameters="all", batch_size=8)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    names = None
    if result.sketch.coverage < 1:  # every batch met all three
        assert "left out are experts.0.bias" in result.notes[0]
        names = {name for name, _ in model.named_parameters() if "experts" not in name}
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples, names)[1], rtol=1e-4)


class Switch(nn.Module):
    """Takes another layer, or the same layer on part of the batch, where a batch has a rare sample."""

    def __init__(self, how: str):
        super().__init__()
        self.one, self.other, self.head, self.how = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3), how

    def forward(self, x):
        rare = x[:, 0] > 50
        if not rare.any():
            return self.head(self.one(x).tanh())
        if self.how == "another layer":
            return self.head(self.other(x / 100).tanh())
        if self.how == "one call more":
            return self.head(self.one(self.one(x / 100)).tanh())
        if self.how == "no rule":
            return self.head(looked_up(x / 100, self.one.weight).tanh())
        out = torch.zeros_like(x)
        out[rare], out[~rare] = self.one(x[rare] / 100).tanh(), self.other(x[~rare]).tanh()
        return self.head(out)


@pytest.mark.parametrize("how", ["another layer", "one call more", "no rule", "parts of the batch"])
def test_a_later_batch_that_meets_other_calls_is_computed_by_another_method(how, tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.walk.SECONDS_BETWEEN_RECORDS", 0.0)
    torch.manual_seed(0)
    model, samples, options = Switch(how), random_samples(40, 6), PassOptions(parameters="all", batch_size=8)
    samples.inputs[30, 0] = 100
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert "layers meet other samples in one batch than in another" in result.notes[0]
    assert result.sketch.coverage == 1
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=1e-4)


class Mixing(nn.Module):
    """Hides the batch from the fast method: rows are reordered by a data-independent permutation of a larger axis."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        n, time, size = x.shape
        x = x.flip(0).reshape(n * time, size)
        return self.head(self.layer(x).tanh().view(n, time, size).flip(0).mean(1))


@pytest.mark.parametrize("method", ["vmap", "loop"])
def test_what_fails_the_self_check_is_computed_a_slower_method(method, tmp_path, monkeypatch):
    if method == "loop":
        monkeypatch.setattr("oga_core.gradients.methods.plain.vmap_gradients", vmap_of_another_model)
    samples, model = random_samples(8, 5, 4), Mixing()
    options = PassOptions(parameters="all", exact_l1=True)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert re.search("by hooks did not pass the self-check .* computed by vmap", result.notes[0])
    assert len(result.notes) == (1 if method == "vmap" else 2)
    l1, l2 = exact_norms(model, samples)
    np.testing.assert_allclose(result.sketch.l2_norm_all, l2, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.l1_norm_all, l1, rtol=1e-4)
    assert result.sketch.check_error < 1e-5
    assert result.sketch.coverage == 1


def test_an_error_of_half_a_thousandth_does_not_pass_the_self_check(tmp_path, monkeypatch):
    exact = Site.input
    monkeypatch.setattr(Site, "input", lambda site, *args: exact(site, *args) * 1.0005)
    torch.manual_seed(0)
    samples = random_samples(8, 3, 8, 8)
    result = gradient_pass(
        ArrayTask(), InPlaceAfterBatchNorm(), samples, folder=tmp_path, options=PassOptions(parameters="all")
    )
    assert re.search("by hooks did not pass the self-check .relative error [1-9].[0-9]e-04", result.notes[0])


def vmap_of_another_model(task, model, batch, parameters, scale=1.0):
    for part in vmap_gradients(task, model, batch, parameters, scale):
        yield {name: 2 * gradient for name, gradient in part.items()}


class Trimmed(ArrayTask):
    """Cuts a batch to its longest sample, as texts are."""

    def batch(self, samples, rows):
        batch = super().batch(samples, rows)
        used = batch["x"].abs().sum((0, 2)) > 0
        return {**batch, "x": batch["x"][:, : int(used.nonzero().max()) + 1]}


class LongOnes(Mixing):
    """Reads a number out of long inputs, which vmap cannot."""

    def forward(self, x):
        return super().forward(x if x.shape[1] < 5 else x * (1 + 0 * x.sum().item()))


def test_vmap_that_fails_on_a_later_batch_is_given_up(tmp_path):
    samples = random_samples(40, 6, 4)
    samples.inputs[:, 4:] = 0
    samples.inputs[30, 4:] = 1
    torch.manual_seed(0)
    model, options = LongOnes(), PassOptions(parameters="all", batch_size=8)
    result = gradient_pass(Trimmed(), model, samples, folder=tmp_path, options=options)
    assert "by vmap did not pass the self-check (it fails on a later batch)" in result.notes[1]
    loop = [loop_norm(model, samples, row) for row in (0, 30)]
    np.testing.assert_allclose(result.sketch.l2_norm_all[[0, 30]], loop, rtol=1e-4)


def loop_norm(model, samples, row):
    """Of one sample in the batch that it was computed in, which tells how far it is cut."""
    rows = np.arange(row // 8 * 8, row // 8 * 8 + 8)
    batch = Trimmed().batch(samples, rows)
    gradients = list(loop_gradients(Trimmed(), model, batch, dict(model.named_parameters())))[row % 8]
    return float(torch.cat([gradient.flatten() for gradient in gradients.values()]).norm())
