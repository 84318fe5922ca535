"""Networks for sequences, with parameters used in every way that is seen, against gradients computed one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from engine_helpers import N_CLASSES, Pooled, assert_exact, random_samples
from torch import nn
from torch.nn.utils import parametrizations


class Tokens(nn.Module):
    """Base of small models on token ids `(batch, time)`."""

    def __init__(self, rows: int = 11, size: int = 6):
        super().__init__()
        self.table = nn.Embedding(rows, size, padding_idx=0)
        self.head = nn.Linear(size, N_CLASSES)


class PositionsOncePerBatch(Tokens):
    """As in BERT and GPT-2: ids of shape (1, time) are looked up once for the whole batch."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Embedding(20, 6)
        self.register_buffer("ids", torch.arange(20)[None])
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        return self.head(self.norm(self.table(x) + self.positions(self.ids[:, : x.shape[1]])).tanh().mean(1))


class PositionsByRange(Tokens):
    def __init__(self):
        super().__init__()
        self.positions = nn.Embedding(20, 6)

    def forward(self, x):
        return self.head((self.table(x) + self.positions(torch.arange(x.shape[1]))).tanh().mean(1))


class Tied(Tokens):
    """The embedding is also the last layer's weight, and used by two lookups."""

    def forward(self, x):
        hidden = (self.table(x) + self.table(x.flip(1)) * 0.5).tanh()
        hidden = F.linear(hidden, self.table.weight).sin() @ self.table.weight
        return self.head(hidden.mean(1))


class TiedHead(Tokens):
    def forward(self, x):
        hidden = torch.tanh(self.table(x))
        return F.linear(hidden, self.table.weight).mean(1)[:, :3] + self.head(hidden.mean(1))


class ClassToken(nn.Module):
    """As in ViT: a class token is expanded and position embeddings are added, both plain parameters."""

    def __init__(self, spread=lambda token, x: token.expand(len(x), -1, -1)):
        super().__init__()
        self.spread = spread
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.positions = nn.Parameter(torch.randn(1, 8, 6))
        self.embed, self.head = nn.Linear(6, 6), nn.Linear(6, N_CLASSES)
        self.scale = nn.Parameter(torch.rand(6))

    def forward(self, x):
        x = torch.cat([self.spread(self.token, x), self.embed(x)], 1) + self.positions[:, : x.shape[1] + 1]
        return self.head((x.tanh() * self.scale)[:, 0] + x.sin().mean(1))


class HuggingFaceRMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(6, 6), nn.Linear(6, N_CLASSES)
        self.weight = nn.Parameter(torch.rand(6))
        self.offset = nn.Parameter(torch.rand(6))

    def forward(self, x):
        x = self.embed(x)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.head((self.weight * x.to(torch.float32).type_as(self.weight)).tanh().mean(1) * (1.0 + self.offset))


class TimeFirst(nn.Module):
    """Inputs (time, batch, size), and rows of all samples folded into one axis."""

    def __init__(self, attention: nn.Module | None = None):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, N_CLASSES)
        self.norm, self.scale = nn.LayerNorm(6), nn.Parameter(torch.rand(6))

    def forward(self, x):
        x = self.norm(self.one(x.transpose(0, 1)).tanh()) * self.scale  # (time, batch, 6)
        x = x.transpose(0, 1)
        folded = self.two(x.reshape(-1, 6)).tanh() * self.scale
        return self.head(folded.view(x.shape).mean(1))


class Attention(nn.Module):
    def __init__(self, batch_first: bool, queries: bool = False):
        super().__init__()
        self.batch_first = batch_first
        self.attention = nn.MultiheadAttention(6, 2, batch_first=batch_first)
        self.query = nn.Parameter(torch.randn(1, 2, 6)) if queries else None
        self.head = nn.Linear(6, N_CLASSES)

    def forward(self, x):
        if not self.batch_first:
            x = x.transpose(0, 1)
        query = x if self.query is None else self.query.expand(len(x), -1, -1)
        x = self.attention(query, x, x, need_weights=False)[0]
        return self.head(x.mean(1 if self.batch_first else 0))


class TimeFirstEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(6, 2, 7)

    def forward(self, x):
        return self.encoder(x.transpose(0, 1)).transpose(0, 1)


class RelativeBias(nn.Module):
    """As in Swin and T5: a table of biases, looked up once, reordered and added to every sample's attention."""

    def __init__(self, fused: bool):
        super().__init__()
        self.table = nn.Parameter(torch.randn(9, 2))
        self.register_buffer("index", torch.arange(5)[:, None] - torch.arange(5)[None] + 4)
        self.qkv, self.head, self.fused = nn.Linear(6, 18), nn.Linear(6, N_CLASSES), fused

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)  # (batch, heads, time, 3)
        bias = self.table[self.index].permute(2, 0, 1)[None]
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            x = (q @ k.transpose(-1, -2) + bias).softmax(-1) @ v
        return self.head(x.transpose(1, 2).flatten(2).mean(1))


class Functional(nn.Module):
    """Parameters used without modules: addmm as in GPT-2's Conv1D, products, transposes, scalars."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(5))
        self.c, self.d = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(2, 5))
        self.e, self.f = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        n, time, _ = x.shape
        x = torch.addmm(self.b, x.reshape(-1, 6), self.a).view(n, time, 5).tanh()
        mixed = self.d @ x.transpose(1, 2)  # learned queries: (batch, 2, time)
        x = (x @ self.c.T).tanh() + mixed.mean((1, 2))[:, None, None]
        return self.f.exp() * (x.mean(1) @ self.e)


class NotUsed(nn.Module):
    """A parameter that never meets the data, and one whose output is thrown away."""

    def __init__(self):
        super().__init__()
        self.layer, self.pooler, self.lost = nn.Linear(6, N_CLASSES), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        self.pooler(x)
        return self.layer(x.mean(1))


class FrozenBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 6), nn.Linear(6, N_CLASSES)

    def forward(self, x):
        with torch.no_grad():
            x = self.body(x).tanh()
        return self.head(x.mean(1))


SEQUENCES = {
    "class token": ClassToken,
    "class token, expanded as the input": lambda: ClassToken(lambda token, x: token.expand_as(x[:, :1])),
    "RMS norm of Hugging Face": HuggingFaceRMSNorm,
    "time first and folded": TimeFirst,
    "attention": lambda: Attention(True),
    "attention, time first": lambda: Attention(False),
    "attention, learned queries": lambda: Attention(True, True),
    "transformer": lambda: Pooled(nn.TransformerEncoderLayer(6, 2, 7, batch_first=True), 5),
    "transformer, time first": lambda: Pooled(TimeFirstEncoder(), 5),
    "relative bias": lambda: RelativeBias(False),
    "relative bias, fused": lambda: RelativeBias(True),
    "functional": Functional,
    "unused": NotUsed,
    "no_grad backbone": FrozenBackbone,
    "weight norm": lambda: Pooled(parametrizations.weight_norm(nn.Linear(6, 6)), 5),
    "orthogonal": lambda: Pooled(parametrizations.orthogonal(nn.Linear(6, 6)), 5),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("batch_size", [5, 8])  # 5 is also the length of the sequences
def test_sequence_models(name, batch_size, tmp_path):
    torch.manual_seed(0)
    assert_exact(SEQUENCES[name](), random_samples(8, 5, 6), tmp_path, batch_size=batch_size)


@pytest.mark.parametrize("model", [PositionsOncePerBatch, PositionsByRange, Tied, TiedHead])
@pytest.mark.parametrize("time", [5, 9])
def test_token_models(model, time, tmp_path):
    torch.manual_seed(0)
    assert_exact(model(), random_samples(8, time, tokens=11), tmp_path, batch_size=5)
