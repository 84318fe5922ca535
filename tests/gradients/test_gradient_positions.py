"""Relative positions: parameters that go through layers of their own before they meet data, by rule."""

from __future__ import annotations

import pytest
import torch
from engine_helpers import N_CLASSES, ArrayTask, assert_exact, random_samples
from torch import nn
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification


@pytest.fixture(autouse=True)
def no_vmap(monkeypatch):
    def refuse(*args):
        raise AssertionError("positions were left to vmap")

    monkeypatch.setattr("oga_core.gradients.methods.hooks.vmap_gradients", refuse)


class TextTask(ArrayTask):
    """Token ids into a model of Hugging Face's."""

    def outputs(self, model, batch):
        return model(input_ids=batch["x"], attention_mask=torch.ones_like(batch["x"])).logits


class OfTable(nn.Module):
    """A table through a layer, met by data; `table` is a parameter or a fixed buffer."""

    def __init__(self, learnt: bool, meet):
        super().__init__()
        torch.manual_seed(0)
        table = torch.randn(2, 5, 6)
        if learnt:
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)
        self.embed, self.layer, self.meet = nn.Linear(6, 6), nn.Linear(6, 6), meet
        self.head = nn.LazyLinear(N_CLASSES)
        self(torch.zeros(2, 4, 6))

    def forward(self, x):
        positions = self.layer(self.table)  # (2 heads, 5, 6)
        return self.head(self.meet(self.embed(x).tanh(), positions).flatten(1))


def repeated(x, positions):
    """As in DeBERTa: written out for each sample, beside the data of all heads."""
    heads = x[:, None].expand(-1, 2, -1, -1).flatten(0, 1)
    return torch.bmm(heads, positions.repeat(len(x), 1, 1).transpose(1, 2)).tanh().unflatten(0, (len(x), 2))


def broadcast(x, positions):
    return (x[:, None] @ positions.transpose(1, 2)).tanh()


@pytest.mark.parametrize("meet", [repeated, broadcast])
@pytest.mark.parametrize("learnt", [True, False])
def test_a_table_through_a_layer_is_exact(learnt, meet, tmp_path):
    assert_exact(OfTable(learnt, meet), random_samples(9, 4, 6), tmp_path)


@pytest.mark.parametrize("shared", [True, False])
def test_disentangled_attention_is_exact(shared, tmp_path):
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 3}
    positions = {"relative_attention": True, "position_buckets": 4, "max_relative_positions": 8}
    config = DebertaV2Config(
        **sizes, **positions, intermediate_size=16, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm",
        share_att_key=shared, position_biased_input=False,
    )  # fmt: skip
    samples = random_samples(9, 7, tokens=50)
    assert_exact(DebertaV2ForSequenceClassification(config), samples, tmp_path, task=TextTask())


def test_a_table_that_layers_take_beside_the_data_is_exact(tmp_path):
    class Relative(nn.Module):
        """As DeBERTa has it: a normalised table of positions goes through the same wide layers as the data."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.table = nn.Parameter(torch.randn(4, 128))
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, N_CLASSES)
            self.layers = nn.ModuleList(nn.Linear(128, 128) for _ in range(2))

        def forward(self, x):
            table = self.norm(self.table)
            for layer in self.layers:
                x = x + torch.tanh(layer(x)) * layer(table)
            return self.head(x.mean(1))

    assert_exact(Relative(), random_samples(6, 4, 128), tmp_path)
