"""Architectures for the rows of tables, and for shapes of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from architecture import Architecture, Net, head, pooled, weight
from torch import Tensor, nn
from torch.nn import functional as F

N = 6


def _mlp(middle: Callable[[], nn.Module | tuple[nn.Module, ...]]) -> Callable[[], nn.Module]:
    """A layer, what `middle` makes, and a head; made anew for each model."""

    def build() -> nn.Module:
        layers = middle()
        return nn.Sequential(nn.Linear(N, 8), *(layers if isinstance(layers, tuple) else (layers,)), head(8))

    return build


def _net(run: Callable[[Any, Tensor], Tensor], **parts: Callable[[], Any]) -> Callable[[], nn.Module]:
    """Parts are made when the model is, so that each build has weights of its own."""
    return lambda: Net(run, **{name: part() for name, part in parts.items()})


def _cross(m: Any, x: Tensor) -> Tensor:
    crossed = x
    for layer in m.layers:
        crossed = x * layer(crossed) + crossed
    return m.head(torch.cat([crossed, F.relu(m.deep(x))], 1))


def _factors(m: Any, x: Tensor) -> Tensor:
    pairs = 0.5 * ((x @ m.factors) ** 2 - (x**2) @ m.factors**2)
    return m.line(x) + m.head(pairs)


def _tokens(m: Any, x: Tensor) -> Tensor:
    tokens = x[..., None] * m.weight + m.bias
    tokens = torch.cat([m.token.expand(len(x), -1, -1), tokens], 1)
    return m.head(m.encoder(tokens)[:, 0])


def _ensemble(m: Any, x: Tensor) -> Tensor:
    x = x[:, None] * m.first
    hidden = F.relu(m.layer(x) * m.second + m.bias)
    return (torch.einsum("nkd,kdc->nkc", hidden, m.heads)).mean(1)


def _splines(m: Any, x: Tensor) -> Tensor:
    basis = torch.exp(-((x[..., None] - m.knots) ** 2))
    hidden = torch.einsum("nik,oik->no", basis, m.splines) + F.silu(x) @ m.base
    return m.head(hidden)


def _centres(m: Any, x: Tensor) -> Tensor:
    return m.head(torch.exp(-((x[:, None] - m.centres) ** 2).sum(-1) * F.softplus(m.scale)))


def _distances(m: Any, x: Tensor) -> Tensor:
    return -torch.cdist(m.layer(x), m.prototypes)


def _cosines(m: Any, x: Tensor) -> Tensor:
    return 8 * F.linear(F.normalize(m.layer(x)), F.normalize(m.prototypes))


def _waves(m: Any, x: Tensor) -> Tensor:
    return m.head(torch.sin(5 * m.second(torch.sin(5 * m.first(x)))))


def _fourier(m: Any, x: Tensor) -> Tensor:
    angles = 2 * math.pi * x @ m.frequencies
    return m.head(torch.cat([angles.cos(), angles.sin()], 1))


def _periodic(m: Any, x: Tensor) -> Tensor:
    angles = 2 * math.pi * m.frequencies * x[..., None]
    embedded = torch.cat([angles.cos(), angles.sin()], -1)
    return m.head(F.relu(torch.einsum("nfk,fkd->nfd", embedded, m.layers)).flatten(1))


def _hyper(m: Any, x: Tensor) -> Tensor:
    weights = m.make(m.code).view(8, N)
    return m.head(F.relu(F.linear(x, weights)))


def _additive(m: Any, x: Tensor) -> Tensor:
    hidden = F.relu(x[..., None] * m.first + m.shift)
    return torch.einsum("nfh,fhc->nc", hidden, m.second) + m.bias


def _trees(m: Any, x: Tensor) -> Tensor:
    chosen = x @ m.features.softmax(0)
    left = torch.sigmoid((chosen - m.cuts) * 3).view(-1, 4, 2)
    a, b = left.unbind(-1)
    leaves = torch.stack([a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)], -1)
    return torch.einsum("ntl,tlc->nc", leaves, m.leaves)


def _masked(m: Any, x: Tensor) -> Tensor:
    mask = m.ask(x)
    sorted_mask = mask.sort(-1, descending=True).values
    count = torch.arange(1, N + 1)
    support = 1 + count * sorted_mask > sorted_mask.cumsum(-1)
    k = support.sum(-1, keepdim=True)
    cut = (sorted_mask.cumsum(-1).gather(-1, k - 1) - 1) / k
    return m.head(F.glu(m.layer(x * (mask - cut).clamp(min=0))))


def _one_expert(m: Any, x: Tensor) -> Tensor:
    gate, best = m.gate(x).softmax(-1).max(-1)
    return gate[:, None] * torch.einsum("nd,ndc->nc", x, m.experts[best])


def _flow(m: Any, x: Tensor) -> Tensor:
    hidden = m.first(x)
    for _ in range(4):
        hidden = hidden + 0.25 * torch.tanh(m.field(hidden))
    return m.head(hidden)


def _couplings(m: Any, x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    b = b * torch.exp(torch.tanh(m.scale(a))) + m.shift(a)
    return m.head(torch.cat([b, a], 1))


def _bins(m: Any, x: Tensor) -> Tensor:
    return m.head(m.embedding(torch.bucketize(x, m.edges)).flatten(1))


def _solved(m: Any, x: Tensor) -> Tensor:
    matrix = m.factor @ m.factor.T + torch.eye(N)
    return m.head(torch.linalg.solve(matrix, x.T).T)


def _complex(m: Any, x: Tensor) -> Tensor:
    return m.head(torch.abs(torch.complex(x, x) @ torch.complex(m.real, m.imaginary)))


def _complex_einsum(m: Any, x: Tensor) -> Tensor:
    turned = torch.complex(x, 2 * x.flip(1))
    return m.head(torch.abs(torch.einsum("ni,ik->nk", turned, torch.complex(m.real, m.imaginary))))


def _evidence(m: Any, x: Tensor) -> Tensor:
    return torch.digamma(F.softplus(m.layer(F.elu(m.first(x)))) + 1)


def _two_views(m: Any, x: Tensor) -> Tensor:
    return m.mix(m.first(x), m.second(x)) + m.head(x)


def _written_layers() -> nn.Module:
    """One network writes the weights of every layer from a row of its own."""

    def run(m: Net, x: Tensor) -> Tensor:
        for row in m.rows:
            x = torch.tanh(F.linear(x, m.write(row).view(N, N)))
        return m.head(x)

    return Net(run, rows=weight(2, 4), write=nn.Linear(4, N * N), head=head(N))


ARCHITECTURES = [
    Architecture(name, build, "table")
    for name, build in {
        "linear": lambda: head(N),
        "layers that a network writes": _written_layers,
        "MLP": _mlp(lambda: (nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 8), nn.GELU())),
        "MLP, batch norm": _mlp(lambda: (nn.BatchNorm1d(8), nn.ReLU())),
        "MLP, layer norm": _mlp(lambda: (nn.LayerNorm(8), nn.SiLU())),
        "MLP, RMS norm": _mlp(lambda: (nn.RMSNorm(8), nn.Mish())),
        "self-normalising": _mlp(lambda: (nn.SELU(), nn.AlphaDropout(0.1))),
        "gated": _mlp(lambda: (nn.Linear(8, 16), nn.GLU())),
        "residual": _mlp(lambda: (Net(lambda m, x: x + m.inner(x), inner=nn.Linear(8, 8)), nn.Hardswish())),
        "highway": _mlp(
            lambda: Net(
                lambda m, x: torch.lerp(x, F.relu(m.a(x)), torch.sigmoid(m.b(x))), a=nn.Linear(8, 8), b=nn.Linear(8, 8)
            )
        ),
        "deep and cross": _net(
            _cross,
            layers=lambda: nn.ModuleList(nn.Linear(N, N) for _ in range(2)),
            deep=lambda: nn.Linear(N, 8),
            head=lambda: head(N + 8),
        ),
        "factorisation machine": _net(
            _factors, factors=lambda: weight(N, 4), line=lambda: head(N), head=lambda: head(4)
        ),
        "features as tokens": _net(
            _tokens,
            weight=lambda: weight(N, 8),
            bias=lambda: weight(N, 8),
            token=lambda: weight(1, 1, 8),
            head=lambda: head(8),
            encoder=lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True),
        ),
        "ensemble in one": _net(
            _ensemble,
            first=lambda: weight(4, N, scale=1),
            second=lambda: weight(4, 8, scale=1),
            bias=lambda: weight(4, 8),
            layer=lambda: nn.Linear(N, 8, bias=False),
            heads=lambda: weight(4, 8, 3),
        ),
        "splines": _net(
            _splines,
            knots=lambda: torch.linspace(-2, 2, 5),
            splines=lambda: weight(8, N, 5),
            base=lambda: weight(N, 8),
            head=lambda: head(8),
        ),
        "radial basis": _net(
            _centres, centres=lambda: weight(8, N, scale=1), scale=lambda: weight(8), head=lambda: head(8)
        ),
        "distances to prototypes": _net(_distances, layer=lambda: nn.Linear(N, 8), prototypes=lambda: weight(3, 8)),
        "cosines to prototypes": _net(_cosines, layer=lambda: nn.Linear(N, 8), prototypes=lambda: weight(3, 8)),
        "waves": _net(_waves, first=lambda: nn.Linear(N, 8), second=lambda: nn.Linear(8, 8), head=lambda: head(8)),
        "random Fourier features": _net(_fourier, frequencies=lambda: torch.randn(N, 8) * 0.3, head=lambda: head(16)),
        "periodic embeddings": _net(
            _periodic, frequencies=lambda: weight(N, 4), layers=lambda: weight(N, 8, 4), head=lambda: head(24)
        ),
        "network that makes weights": _net(
            _hyper, code=lambda: weight(4), make=lambda: nn.Linear(4, 48), head=lambda: head(8)
        ),
        "additive": _net(
            _additive,
            first=lambda: weight(N, 4, scale=1),
            shift=lambda: weight(N, 4),
            second=lambda: weight(N, 4, 3),
            bias=lambda: weight(3),
        ),
        "soft trees": _net(
            _trees,
            features=lambda: weight(N, 8, scale=1),
            cuts=lambda: weight(8),
            leaves=lambda: weight(4, 4, 3, scale=1),
        ),
        "sparse mask": _net(_masked, ask=lambda: nn.Linear(N, N), layer=lambda: nn.Linear(N, 16), head=lambda: head(8)),
        "one expert a sample": _net(_one_expert, gate=lambda: nn.Linear(N, 4), experts=lambda: weight(4, N, 3)),
        "flow of a field": _net(
            _flow, first=lambda: nn.Linear(N, 8), field=lambda: nn.Linear(8, 8), head=lambda: head(8)
        ),
        "couplings": _net(
            _couplings, scale=lambda: nn.Linear(3, 3), shift=lambda: nn.Linear(3, 3), head=lambda: head(N)
        ),
        "bins": _net(
            _bins, edges=lambda: torch.linspace(-1, 1, 5), embedding=lambda: nn.Embedding(6, 4), head=lambda: head(24)
        ),
        "linear system": _net(_solved, factor=lambda: weight(N, N), head=lambda: head(N)),
        "complex weights": _net(
            _complex, real=lambda: weight(N, 8), imaginary=lambda: weight(N, 8), head=lambda: head(8)
        ),
        "complex weights by einsum": _net(
            _complex_einsum, real=lambda: weight(N, 8), imaginary=lambda: weight(N, 8), head=lambda: head(8)
        ),
        "evidence": _net(_evidence, first=lambda: nn.Linear(N, 8), layer=lambda: head(8)),
        "bilinear": _net(
            _two_views,
            first=lambda: nn.Linear(N, 4),
            second=lambda: nn.Linear(N, 4),
            mix=lambda: nn.Bilinear(4, 4, 3),
            head=lambda: head(N),
        ),
    }.items()
] + [
    Architecture(
        "volumes",
        lambda: nn.Sequential(
            nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), head(4)
        ),
        "table",
        shape=(1, 6, 6, 6),
    ),
    Architecture(
        "transposed in one dimension",
        lambda: Net(lambda m, x: m.head(pooled(m.up(x))), up=nn.ConvTranspose1d(4, 6, 3, stride=2), head=head(6)),
        "table",
        shape=(4, 7),
    ),
    Architecture(
        "deep set",
        lambda: Net(lambda m, x: m.head(F.relu(m.each(x)).sum(1)), each=nn.Linear(N, 8), head=head(8)),
        "table",
        shape=(9, N),
    ),
]
