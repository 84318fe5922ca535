"""Gradients of packaged models are those of the model in memory, whatever method they take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attack_files import rewrite
from engine_helpers import ArrayTask, exact_norms, random_samples
from torch import Tensor, nn

import oga_core
from oga_core.errors import OgaError
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models import load_model
from oga_core.models.packaging.gradients import ENTRY
from oga_core.models.pt2.reader import read_pt2


class Recurrent(nn.Module):
    """The last state of a recurrent layer, and a head."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(5, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_graph_that_vmap_cannot_run_is_scored_all_the_same(kind: type[nn.RNNBase], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, samples = Recurrent(kind), random_samples(6, 4, 5)
    path = oga_core.package_model(
        model, torch.randn(2, 4, 5), tmp_path / "model.pt2", classes=["a", "b", "c"], modality="tabular",
        input={"features": ["x"]},
    )  # fmt: skip
    graph, _ = read_pt2(path)
    result = gradient_pass(
        ArrayTask(), graph, samples, folder=tmp_path / "arrays", options=PassOptions(parameters="all")
    )
    if result.sketch.coverage == 1:
        np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model.eval(), samples)[1], rtol=1e-4)
    else:
        assert "left out are" in " ".join(result.notes)


class Reversed(torch.autograd.Function):
    """Passes its input on, and the gradient back with the other sign."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Net(nn.Module):
    """Two linear layers; `middle` is between them."""

    def __init__(self, middle: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.body(x)))


class Caching(Net):
    """Keeps what it computes from a parameter in eval mode, as timm's LeViT keeps its attention biases."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(4))
        self.kept: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> Caching:
        if mode:
            self.kept = {}
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if "bias" not in self.kept:
            self.kept["bias"] = self.bias[torch.arange(4)]
        return super().forward(x + self.kept["bias"])


class Rounded(Net):
    """Learns with rounded weights, as training for quantised inference does."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.fake_quantize_per_tensor_affine(self.body.weight, 0.05, 0, -128, 127)
        return self.head(nn.functional.linear(x, weight, self.body.bias))


def packaged(model: nn.Module, path: Path) -> Path:
    return oga_core.package_model(
        model, torch.randn(2, 4), path, classes=["a", "b", "c"], modality="tabular", input={"features": list("wxyz")}
    )


def test_an_own_backward_is_not_lost_in_silence(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"not its gradients, which differ by \d+% \(most in body"):
        packaged(Net(Reversed.apply), tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_rounded_weights_keep_their_gradients(tmp_path: Path) -> None:
    module, _ = read_pt2(packaged(Rounded(), tmp_path / "model.pt2"))
    module(torch.randn(5, 4)).sum().backward()
    assert module.body.weight.grad.any()


def test_what_a_run_without_gradients_left_is_no_constant(tmp_path: Path) -> None:
    model = Caching().eval()
    with torch.no_grad():
        model(torch.randn(2, 4))
    loaded = load_model(packaged(model, tmp_path / "model.pt2"))
    loaded.module(torch.randn(5, 4)).sum().backward()
    assert dict(loaded.module.named_parameters())["bias"].grad is not None


def test_parameters_that_no_gradient_reaches_are_counted_and_named(tmp_path: Path) -> None:
    model = Net()
    model.spare = nn.Linear(4, 2)
    sentence = r"does not reach 2 of 6 parameter tensors: spare\.weight, spare\.bias\."
    with pytest.warns(UserWarning, match=sentence):
        path = packaged(model, tmp_path / "model.pt2")
    assert re.search(sentence, " ".join(load_model(path).notes))


def test_other_gradients_than_when_it_was_packaged_are_refused(tmp_path: Path) -> None:
    path = packaged(Net(), tmp_path / "model.pt2")
    assert load_model(path).notes == ()

    def half(name: str, content: bytes) -> bytes:
        if not name.endswith(ENTRY):
            return content
        record = json.loads(content)
        record["norms"]["body.weight"] /= 2
        return json.dumps(record).encode()

    with pytest.raises(OgaError, match=r"The gradient of body\.weight in model\.pt2 is not what it was"):
        load_model(rewrite(path, half))
    with pytest.raises(OgaError, match="is damaged"):
        load_model(rewrite(path, lambda name, content: b"{}" if name.endswith(ENTRY) else content))


class Words(nn.Module):
    """An embedding of a kind, and a head."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(5, 4, **options), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).mean(1))


def packaged_words(model: nn.Module, path: Path) -> Path:
    example = torch.randint(0, 5, (2, 6))
    return oga_core.package_model(model, example, path, classes=["a", "b", "c"], modality="text")


@pytest.mark.parametrize("options", [{"scale_grad_by_freq": True}, {"sparse": True}])
def test_an_embedding_keeps_how_its_gradient_is_taken(options: dict[str, bool], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, words = Words(**options), torch.tensor([[0, 0, 0, 1, 1, 2]])
    module, _ = read_pt2(packaged_words(model, tmp_path / "model.pt2"))
    one, other = (torch.autograd.grad(m(words)[0, 0], m.table.weight)[0].to_dense() for m in (model, module))
    torch.testing.assert_close(one, other)


def test_an_embedding_that_writes_into_its_weight_is_refused_with_lines_that_run(tmp_path: Path) -> None:
    model, words = Words(max_norm=1.0).eval(), torch.randint(0, 5, (3, 6))
    outputs = model(words)
    with pytest.raises(OgaError, match=r"max_norm.*package it again") as refusal:
        packaged_words(model, tmp_path / "model.pt2")
    lines = re.search(r"layer = .*None", str(refusal.value))
    assert lines
    exec(lines[0], {"model": model})  # noqa: S102 - as a person pastes them
    module, _ = read_pt2(packaged_words(model, tmp_path / "model.pt2"))
    torch.testing.assert_close(module(words), outputs)
