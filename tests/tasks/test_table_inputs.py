"""Tables for models with an input of numbers and one of categories, as FT-Transformer and TabM have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_helpers import assert_exact, samples_of
from torch import Tensor, nn

import oga_core
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.samples import UnreadableSample
from oga_core.tasks import task_for

INPUT: dict[str, Any] = {
    "features": {"x_num": ["age", "income"], "x_cat": ["job", "town"]},
    "categories": {"job": ["cook", "nurse", "smith"], "town": ["Bern", "Turin"]},
    "mean": [40, 3],
    "std": [10, 1],
}
CARD = ModelCard("tabular", ("a", "b", "c"), INPUT)


class Tokens(nn.Module):
    """Every column is a token: a number times a vector, a category an embedding, then attention over the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(2, 8)) for _ in range(2))
        self.embeddings = nn.ModuleList([nn.Embedding(3, 8), nn.Embedding(2, 8)])
        self.first = nn.Parameter(torch.randn(8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x_num: Tensor, x_cat: Tensor) -> Tensor:
        tokens = [x_num[..., None] * self.weight + self.bias]
        tokens += [embed(x_cat[:, i])[:, None] for i, embed in enumerate(self.embeddings)]
        first = self.first.expand(len(x_num), 1, -1)
        return self.head(self.layer(torch.cat([first, *tokens], 1))[:, 0].relu())


def samples(n: int = 12):
    rng = np.random.default_rng(0)
    jobs, towns = INPUT["categories"].values()
    rows = [
        {
            "age": f"{rng.normal(40, 10):.1f}",
            "income": f"{rng.normal(3, 1):.2f}",
            "job": jobs[i % 3],
            "town": towns[i % 2],
        }
        for i in range(n)
    ]
    return samples_of(rows, rng.integers(0, 3, n), 3)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory) -> tuple[Tokens, Path]:
    """A model, and the file that it became."""
    torch.manual_seed(0)
    model = Tokens().eval()
    example = (torch.randn(3, 2), torch.tensor([[0, 0], [2, 1], [1, 1]]))
    path = tmp_path_factory.mktemp("table") / "model.pt2"
    return model, oga_core.package_model(model, example, path, classes=CARD.classes, modality="tabular", input=INPUT)


def test_a_packaged_model_gets_numbers_and_the_positions_of_categories(packaged, tmp_path):
    model, path = packaged
    loaded = load_model(path)
    task = task_for(loaded.card)
    batch = task.batch(samples(), np.array([0, 5]))
    numbers = torch.tensor([[float(row["age"]) / 10 - 4, float(row["income"]) - 3] for row in samples().inputs])
    expected = model(numbers[[0, 5]], torch.tensor([[0, 0], [2, 1]]))
    torch.testing.assert_close(task.outputs(loaded.module, batch), expected)
    assert_exact(loaded.module, samples(), tmp_path / "arrays", task=task)


def test_an_unknown_category_has_no_position():
    rows = samples()
    strange = replace(rows, inputs=[{**rows.inputs[0], "town": "Oslo"}])
    with pytest.raises(UnreadableSample, match="'town' holds 'Oslo', which is none of its categories"):
        task_for(CARD).batch(strange, np.array([0]))


@pytest.mark.parametrize("features", [{}, {"x_num": []}, {"x_num": "age"}, {"x_num": [1]}])
def test_inputs_without_columns_are_refused(features):
    with pytest.raises(OgaError, match="'features' in the model card"):
        task_for(replace(CARD, input={"features": features}))


def test_a_name_that_the_model_has_not_is_told(packaged):
    card = replace(CARD, input={**INPUT, "features": {"numbers": ["age", "income"], "x_cat": ["job", "town"]}})
    task = task_for(card)
    module = load_model(packaged[1], card).module
    with pytest.raises(OgaError, match=r"takes x_num \(any, 2\), x_cat \(any, 2\); got numbers"):
        task.outputs(module, task.batch(samples(), np.array([0, 1])))
