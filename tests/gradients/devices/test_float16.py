"""Gradients in float16: small ones do not vanish, large ones are taken again, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, exact_norms, random_samples
from torch import Tensor, nn

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass

FIRST = "pattern:^first"


class Chain(nn.Module):
    """Gradients at its first layer are `factor` times those behind it, and larger for samples that begin with it."""

    def __init__(self, factor: float):
        super().__init__()
        torch.manual_seed(0)
        self.factor = factor
        self.first = nn.Linear(6, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        times = x[:, :1].abs().clamp(min=1)  # 100 and 100,000 below, else 1
        x = torch.cat([x[:, :1] / times, x[:, 1:]], 1).to(self.first.weight.dtype)
        return self.head(self.first(x) * (self.factor * times).to(x.dtype))


class Watched(ArrayTask):
    """Notes how many samples the model is given at a time."""

    def outputs(self, model: nn.Module, batch):
        self.sizes.append(len(batch["labels"]))
        return super().outputs(model, batch)


def scored(model: nn.Module, samples, folder, precision):
    task = Watched()
    task.sizes = []
    options = PassOptions(parameters=FIRST, batch_size=12, precision=precision, exact_l1=True, whole_parameters=112)
    return gradient_pass(task, model.eval(), samples, folder=folder, options=options), task.sizes


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_what_is_too_small_for_float16_does_not_vanish(precision, tmp_path):
    samples = random_samples(12, 6)
    samples.inputs[:, 0] = np.clip(samples.inputs[:, 0], -1, 1)
    model = Chain(2.0**-22)
    exact = exact_norms(model, samples, {"first.weight", "first.bias"})
    result, sizes = scored(model if precision == "float16" else model.half(), samples, tmp_path, precision)
    assert not [note for note in result.notes if "float" in note]
    assert result.precision == precision
    assert result.sketch.precision_error < 0.01
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact[1], rtol=0.01)
    np.testing.assert_allclose(result.sketch.l1_norm_all, exact[0], rtol=0.01)
    whole = np.load(tmp_path / "gradients.npy")
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), exact[1], rtol=0.01)
    np.testing.assert_allclose(np.linalg.norm(result.sketch.sketch, axis=1), exact[1], rtol=0.1)  # two parameters meet
    assert sizes[-2:] != [12, 12]  # nothing was taken twice


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_samples_too_large_for_float16_are_taken_again_alone(precision, tmp_path):
    samples = random_samples(12, 6)
    samples.inputs[:, 0] = np.clip(samples.inputs[:, 0], -1, 1)
    samples.inputs[1, 0] = 300  # too much for the first scale
    samples.inputs[2, 0] = 1e5  # and for the second, forwards too
    model = Chain(1.0)
    exact = exact_norms(model, samples, {"first.weight", "first.bias"})
    result, sizes = scored(model if precision == "float16" else model.half(), samples, tmp_path, precision)
    assert result.problems == ()
    assert result.precision == precision
    assert sizes[-3:] == [12, 2, 1]
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact[1], rtol=0.01)
    assert np.isfinite(result.sketch.logits).all()


def test_a_model_whose_every_sample_is_too_large_is_scored_in_float32(tmp_path):
    samples = random_samples(12, 6)
    model = Chain(1e5)
    exact = exact_norms(model, samples, {"first.weight", "first.bias"})
    result, sizes = scored(model, samples, tmp_path, "float16")
    assert result.precision == "float32"
    assert result.notes == ("Gradients are too large or too small for float16; they are computed in float32.",)
    assert sizes[-2:] != [12, 12]
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact[1], rtol=1e-4)
