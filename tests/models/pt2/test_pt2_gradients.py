"""Gradients of packaged models are those of the model in memory, whatever method they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, exact_norms, random_samples
from torch import Tensor, nn

import oga_core
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
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
