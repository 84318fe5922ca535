"""Gradients under every loss that a card can name, against autograd one sample at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.samples import SampleSet, Source
from oga_core.scores import compute_scores
from oga_core.tasks import task_for

N = 24
FEATURES = ["x", "y", "z"]
CARDS: dict[str, dict[str, Any]] = {
    "smoothing": {"name": "cross_entropy", "label_smoothing": 0.2},
    "weights": {"name": "cross_entropy", "class_weights": [1.0, 3.0, 0.5]},
    "squares": {"name": "mean_squared_error", "mean": 2.0, "std": 3.0},
    "absolute": {"name": "mean_absolute_error"},
    "huber": {"name": "huber", "delta": 0.5},
    "several": {"name": "binary_cross_entropy"},
}


def samples_of(card: ModelCard) -> SampleSet:
    rng = np.random.default_rng(0)
    inputs = [dict(zip(FEATURES, map(str, row), strict=True)) for row in rng.normal(size=(N, 3)).round(4)]
    labels = np.arange(N) % 3 if card.target == "class" else np.full(N, -1)
    targets = {"class": None, "number": rng.normal(2, 3, N), "labels": (rng.random((N, 3)) < 0.4).astype(float)}
    ids = np.array(list(map(str, range(N))), dtype=object)
    source = Source(Path("x.csv"), "csv")
    names = card.classes
    rows = np.arange(N)
    return SampleSet(ids, inputs, labels, names, "tabular", inputs, rows, source, "f", targets=targets[card.target])


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("parameters", ["head", "all"])
def test_gradients_are_those_of_autograd(name: str, parameters: str, tmp_path: Path) -> None:
    loss = CARDS[name]
    is_number = loss["name"] not in ("cross_entropy", "binary_cross_entropy")
    card = ModelCard("tabular", () if is_number else ("a", "b", "c"), {"features": FEATURES}, loss=loss)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1 if is_number else 3))
    task = task_for(card)
    samples = samples_of(card)
    options = PassOptions(device="cpu", parameters=parameters)
    sketch = gradient_pass(task, model, samples, folder=tmp_path, options=options).sketch
    assert sketch.check_error < 1e-5
    batch = task.batch(samples, np.arange(N))
    losses = task.losses(task.outputs(model, batch), batch)
    np.testing.assert_allclose(sketch.losses, losses.detach(), rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(one, list(model.parameters()), retain_graph=True) for one in losses]
    heads = np.stack([gradient[2].numpy() for gradient in gradients])
    assert sketch.features is not None
    np.testing.assert_allclose(sketch.delta[:, :, None] * sketch.features[:, None, :], heads, rtol=1e-4, atol=1e-5)
    scores, _ = compute_scores(sketch, ["l2_norm"])
    np.testing.assert_allclose(scores["l2_norm"], np.linalg.norm(heads.reshape(N, -1), axis=1), rtol=1e-4, atol=1e-5)
    if parameters == "all":
        norms = [float(torch.cat([part.flatten() for part in gradient]).norm()) for gradient in gradients]
        assert sketch.l2_norm_all is not None
        np.testing.assert_allclose(sketch.l2_norm_all, norms, rtol=1e-4, atol=1e-5)
