"""Methods are checked in the highest precision, and what the chosen one costs is told apart from that."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine_helpers import ArrayTask, exact_norms, random_samples
from torch import Tensor, nn

import oga_core
from oga_core.errors import OgaError
from oga_core.gradients import devices
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.live.gradients import per_sample_gradients
from oga_core.models.pt2.program import GraphRunError


def score(model: nn.Module, samples, folder, *, task=None, **options):
    options = PassOptions(parameters="all", batch_size=4, **options)
    return gradient_pass(task or ArrayTask(), model.eval(), samples, folder=folder, options=options)


class Masked(ArrayTask):
    """Texts with a mask of the tokens that count."""

    def batch(self, samples, rows):
        batch = super().batch(samples, rows)
        return {**batch, "attention_mask": (torch.arange(7) < 5).long().expand(len(rows), -1).clone()}


class Encoder(nn.Module):
    """Wide enough that its middle features are projected; norms answer in float32, as under autocast on a card."""

    def __init__(self, size: int = 300):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(11, size)
        self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(7))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(7))
        self.head = nn.Linear(size, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.table(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            residual = layer(norm(x)).tanh() + x
            x = F.layer_norm(residual.float(), norm.normalized_shape, norm.weight.float(), norm.bias.float()).to(
                x.dtype
            )
        return self.head(x.mean(1))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_autocast_of_a_model_with_a_mask_goes_through_hooks(precision, tmp_path):
    model, samples = Encoder(), random_samples(6, 7, tokens=11)
    result = score(model, samples, tmp_path, task=Masked(), precision=precision)
    assert result.notes == ()
    assert result.precision == precision
    assert result.sketch.check_error < 1e-5
    assert 1e-4 < result.sketch.precision_error < 0.05
    assert result.sketch.middle_features.shape == (6, 512)
    assert result.sketch.sketch.dtype == np.float32
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_16_bits_go_through_hooks_and_stay_as_they_are(dtype, tmp_path):
    model, samples = Encoder(64), random_samples(6, 7, tokens=11)
    exact = exact_norms(model, samples)[1]
    model = model.to(dtype)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = score(model, samples, tmp_path, task=Masked())
    assert result.notes == ()
    assert result.sketch.check_error < 1e-4
    assert result.sketch.precision_error > 1e-4
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact, rtol=0.05)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Insists(nn.Module):
    """Turns its inputs into bfloat16 itself, so that float32 cannot be had."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Linear(6, 6).bfloat16(), nn.Linear(6, 3).bfloat16()

    def forward(self, x):
        return self.head(self.layer(x.bfloat16()).tanh())


def test_a_model_that_insists_on_16_bits_is_checked_in_them(tmp_path):
    result = score(Insists(), random_samples(9, 6), tmp_path)
    assert result.notes == ()
    assert result.sketch.check_error < 0.05


SHORT = False


@contextmanager
def rounding(*, short: bool):
    """Stands for a card's products of float32: 10 bits where they are allowed."""
    global SHORT
    SHORT, before = short, SHORT
    try:
        yield
    finally:
        SHORT = before


class RoundedConvolution(nn.Conv2d):
    """Rounds its inputs to 10 bits, another way for a batch than for one sample, as cuDNN chooses by size."""

    def forward(self, x):
        if SHORT:
            scale = 2.0 ** (10 - (len(x) > 1))
            x = x + ((x.detach() * scale).round() / scale - x.detach())
        return super().forward(x)


def test_a_short_precision_is_measured_and_no_reason_to_fall_back(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_products_of_float32", rounding)
    monkeypatch.setattr(devices, "_lacks_tf32", lambda device: None)
    torch.manual_seed(0)
    model = nn.Sequential(RoundedConvolution(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3))
    samples = random_samples(8, 3, 8, 8)
    result = score(model, samples, tmp_path, precision="tf32")
    assert result.notes == ()
    assert result.sketch.check_error < 1e-5
    assert 1e-4 < result.sketch.precision_error < 0.05
    exact = score(model, samples, tmp_path / "exact")
    assert exact.sketch.precision_error < 1e-5


class Kink(nn.Module):
    """Rounds in the last bit, another way for a batch than for one sample, before a hardswish."""

    def __init__(self, wrong: float = 0.0):
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.head, self.wrong = nn.Parameter(torch.ones(6)), nn.Linear(6, 3), wrong

    def forward(self, x):
        x = x * self.scale
        x = x * (1 + (2 * torch.finfo(x.dtype).eps + self.wrong) * (len(x) > 1))
        return self.head(F.hardswish(x))


@pytest.mark.parametrize("wrong", [0.0, 1e-3])
def test_a_sample_at_a_kink_is_no_wrong_method(wrong, tmp_path):
    samples = random_samples(8, 6)
    samples.inputs[:, :4] = -np.nextafter(np.float32(3), np.float32(0))  # on one side of the gate, or on the other
    result = score(Kink(wrong), samples, tmp_path)
    if wrong:
        assert any("by hooks did not pass the self-check" in note for note in result.notes)
    else:
        assert result.notes == ()
        assert result.sketch.precision_error > 1e-3
    assert result.sketch.check_error < 1e-5


class SinglePrecision(Kink):
    """A graph that was exported in float32 and cannot be run in another precision."""

    def forward(self, x):
        if self.scale.dtype == torch.float64:
            raise GraphRunError("expected float32, got float64")
        return super().forward(x)


def test_a_kink_in_a_model_that_insists_on_float32_ends_no_run(tmp_path):
    samples = random_samples(8, 6)
    samples.inputs[:, :4] = -np.nextafter(np.float32(3), np.float32(0))
    result = score(SinglePrecision(), samples, tmp_path)
    assert any("by hooks did not pass the self-check" in note for note in result.notes)
    assert result.sketch.check_error < 1e-5


class Cancelling(nn.Module):
    """What it learns from is lost in 16 bits."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.difference, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        with torch.no_grad():
            self.difference.weight.copy_(torch.eye(6) - torch.eye(6).roll(1, 0))

    def forward(self, x):
        return self.head(self.difference(x + 1000))


def test_a_precision_that_would_change_the_ranking_is_not_used(tmp_path):
    model, samples = Cancelling(), random_samples(9, 6)
    result = score(model, samples, tmp_path, precision="bfloat16")
    assert "would change the ranking of the samples that were tried first" in result.notes[0]
    assert result.precision == "float32"
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=1e-4)


def test_a_card_that_cannot_be_used_is_named_with_the_reason(tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("the card of this machine can be used")
    monkeypatch.setattr(devices, "_NVIDIA_NODE", tmp_path)
    result = score(nn.Linear(6, 3), random_samples(8, 6), tmp_path / "arrays")
    assert "has a graphics card that was not used: " in result.notes[0]
    assert result.device_info == {"kind": "cpu", "name": "cpu", "precision": "float32", "peak_mb": None}
    with pytest.raises(OgaError, match=r"'cuda' is not available on this machine: .+\. Choose the device auto"):
        devices.choose_device("cuda")


def test_an_unknown_precision_is_refused():
    with pytest.raises(OgaError, match=r"Unknown precision 'float8'\. Choose one of: float32, tf32, bfloat16, float16"):
        PassOptions(precision="float8")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_processor_has_every_precision_but_that_of_cards(precision):
    devices.require_precision(torch.device("cpu"), precision)


def test_a_precision_that_a_device_lacks_is_refused_in_words_for_any_place(monkeypatch):
    cpu = "'tf32' cannot be had on the CPU: it is a way of NVIDIA cards .* Choose the precision float32 or bfloat16 or"
    with pytest.raises(OgaError, match=cpu) as caught:
        devices.require_precision(torch.device("cpu"), "tf32")
    assert "--" not in str(caught.value)  # which a page and a Python call do not have
    with pytest.raises(
        OgaError, match=r"'bfloat16' cannot be had on the device 'meta': .*Choose the precision float32"
    ):
        devices.require_precision(torch.device("meta"), "bfloat16")  # a device without autocast
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(OgaError, match=r"capability 8\.0 or higher, and this has 7\.5"):
        devices.require_precision(torch.device("cuda:0"), "tf32")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    devices.require_precision(torch.device("cuda:0"), "tf32")


def test_a_dtype_that_a_device_silently_computes_in_another_is_none_it_has():
    reason = devices._lacks_autocast(torch.device("cpu"), torch.float64)  # of which torch only warns
    assert reason == "products there are computed in float32"


class Unread(torch.utils.data.Dataset):
    """Nobody has looked into it yet."""

    def __len__(self):
        return 9

    def __getitem__(self, row):
        raise AssertionError("read before the precision was refused")


def test_a_precision_is_refused_before_data_is_read(tmp_path):
    for precision, words in (("tf32", "cannot be had on the CPU"), ("float8", "Unknown precision")):
        with pytest.raises(OgaError, match=words):
            per_sample_gradients(nn.Linear(6, 3), Unread(), precision=precision)
        with pytest.raises(OgaError, match=words):
            oga_core.score(nn.Linear(6, 3), Unread(), tmp_path / precision, precision=precision)
    samples = random_samples(8, 6)
    with pytest.raises(OgaError, match="cannot be had on the CPU"):
        score(nn.Linear(6, 3), samples, tmp_path, task=ArrayTask(broken=set(range(8))), precision="tf32")
