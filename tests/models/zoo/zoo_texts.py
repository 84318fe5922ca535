"""Architectures for tokens, and for sequences of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from architecture import VOCABULARY, Architecture, Kind, Net, head, pooled, weight
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 8
LENGTH = 12


def _of_tokens(body: nn.Module, width: int = WIDTH) -> nn.Module:
    """A body `(n, t, 8)` to `(n, width)` between an embedding and a linear head."""
    return nn.Sequential(nn.Embedding(VOCABULARY, WIDTH), body, head(width))


def _of_steps(body: nn.Module, width: int = WIDTH) -> nn.Module:
    """The same for sequences of five numbers a step."""
    return nn.Sequential(nn.Linear(5, WIDTH), body, head(width))


def _mean(run: Callable[[Any, Tensor], Tensor], **parts: Any) -> nn.Module:
    """A function `(n, t, 8)` to `(n, t, width)`, and its mean over time."""
    return Net(lambda m, x: run(m, x).mean(1), **parts)


def _last(layer: nn.Module) -> nn.Module:
    return Net(lambda m, x: m.layer(x)[0][:, -1], layer=layer)


def _steps(cell: nn.Module, start: Callable[[Tensor], Any], state: Callable[[Any], Tensor]) -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        hidden = start(x)
        for step in x.unbind(1):
            hidden = m.cell(step, hidden)
        return state(hidden)

    return Net(run, cell=cell)


def _zeros(x: Tensor) -> Tensor:
    return torch.zeros_like(x[:, 0])


def _convolutions(*sizes: int) -> nn.Module:
    convolutions = nn.ModuleList(nn.Conv1d(WIDTH, 4, size) for size in sizes)
    return Net(lambda m, x: torch.cat([F.relu(c(x.mT)).amax(2) for c in m.convolutions], 1), convolutions=convolutions)


def _causal(m: Any, x: Tensor) -> Tensor:
    for i, layer in enumerate(m.layers):
        x = x + F.glu(layer(F.pad(x.mT, (2**i, 0))), 1).mT
    return x


def _encoder(**options: Any) -> nn.Module:
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=True, **options)
    encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    return _mean(lambda m, x: m.encoder(x + m.position), encoder=encoder, position=weight(LENGTH, WIDTH))


def _decoder() -> nn.Module:
    layer = nn.TransformerDecoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=True)
    return _mean(lambda m, x: m.layer(m.query.expand(len(x), -1, -1), x), layer=layer, query=weight(2, WIDTH))


def _attention(**options: Any) -> nn.Module:
    layer = nn.MultiheadAttention(WIDTH, 2, batch_first=True, **options)
    return _mean(lambda m, x: m.layer(x, x, x, need_weights=False)[0], layer=layer)


def _heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (2, -1)).transpose(1, 2)


def _attending(attend: Callable[..., Tensor], **parts: Any) -> nn.Module:
    """Two heads from one projection, `attend(m, q, k, v)` of them `(n, 2, t, 4)`, and a projection out."""

    def run(m: Any, x: Tensor) -> Tensor:
        q, k, v = map(_heads, m.qkv(x).chunk(3, -1))
        return m.out(attend(m, q, k, v).transpose(1, 2).flatten(2))

    return _mean(run, qkv=nn.Linear(WIDTH, 3 * WIDTH), out=nn.Linear(WIDTH, WIDTH), **parts)


def _by_einsum() -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("nte,hed->nhtd", x, w) for w in (m.q, m.k, m.v))
        weights = torch.einsum("nhtd,nhsd->nhts", q, k).softmax(-1)
        return torch.einsum("nhts,nhsd,hde->nte", weights, v, m.o)

    return _mean(run, **{name: weight(2, WIDTH, 4) for name in "qkv"}, o=weight(2, 4, WIDTH))


def _alibi(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=m.slope[:, None, None] * m.away)


def _rotary(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    def turned(x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return torch.cat([a * m.cos - b * m.sin, a * m.sin + b * m.cos], -1)

    return F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)


def _linear_attention(_: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q) + 1, F.elu(k) + 1
    state = (k[..., :, None] * v[..., None, :]).cumsum(2)
    return (q[..., None, :] @ state)[..., 0, :] / (q * k.cumsum(2)).sum(-1, keepdim=True)


def _relative(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    away = m.table(m.places)
    bias = torch.einsum("nhtd,tsd->nhts", q, away)
    return ((q @ k.mT + bias) / 2).softmax(-1) @ v


def _state_space(m: Any, x: Tensor) -> Tensor:
    n = x.shape[1]
    decay = torch.exp(-F.softplus(m.decay)[..., None] * torch.arange(n))
    kernel = torch.einsum("ds,dst->dt", m.mix, decay)
    spectrum = torch.fft.rfft(x.mT, 2 * n) * torch.fft.rfft(kernel, 2 * n)
    return x + torch.fft.irfft(spectrum, 2 * n)[..., :n].mT


def _min_gru(m: Any, x: Tensor) -> Tensor:
    keep = -F.softplus(m.gate(x))
    total = keep.cumsum(1)
    values = -F.softplus(-m.gate(x)) + F.logsigmoid(m.value(x))
    return torch.exp(total + torch.logcumsumexp(values - total, 1))


def _selective(m: Any, x: Tensor) -> Tensor:
    step = F.softplus(m.step(x))
    enter, leave = m.enter(x), m.leave(x)
    state = x.new_zeros(len(x), WIDTH, 4)
    outputs = []
    for t in range(LENGTH):
        decay = torch.exp(-step[:, t, :, None] * m.rate.exp())
        state = decay * state + (step[:, t] * x[:, t])[..., None] * enter[:, t, None]
        outputs.append((state * leave[:, t, None]).sum(-1))
    return torch.stack(outputs, 1) + m.skip * x


def _attention_pooling(m: Any, x: Tensor) -> Tensor:
    weights = m.score(torch.tanh(m.hidden(x))).softmax(1)
    return (weights * x).sum(1)


def _latents(m: Any, x: Tensor) -> Tensor:
    return m.layer(m.latents.expand(len(x), -1, -1), x, x, need_weights=False)[0]


def _points(m: Any, x: Tensor) -> Tensor:
    turn = m.turn(F.relu(m.local(x)).amax(1)).view(-1, WIDTH, WIDTH)
    return torch.bmm(x, turn + torch.eye(WIDTH))


def _graph(m: Any, x: Tensor) -> Tensor:
    return F.relu(m.neighbours @ m.layer(x))


def _graph_attention(m: Any, x: Tensor) -> Tensor:
    h = m.layer(x)
    logits = F.leaky_relu(m.source(h) + m.target(h).mT, 0.2)
    return logits.masked_fill(m.neighbours == 0, -1e9).softmax(-1) @ h


def _spectrogram() -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        spectrum = torch.stft(x[:, :, 0], 16, 8, window=m.window, return_complex=True).abs()
        return m.head(pooled(F.relu(m.conv(torch.log1p(spectrum)))))

    return Net(run, window=torch.hann_window(16), conv=nn.Conv1d(9, WIDTH, 3), head=head(WIDTH))


def _wavenet(m: Any, x: Tensor) -> Tensor:
    x, skips = x.mT, 0.0
    for i, (filtered, gate) in enumerate(zip(m.filters, m.gates, strict=True)):
        padded = F.pad(x, (2**i, 0))
        out = torch.tanh(filtered(padded)) * torch.sigmoid(gate(padded))
        skips, x = skips + out, x + out
    return skips.mT


def _dilated(n_out: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv1d(WIDTH, n_out, 2, dilation=2**i) for i in range(2))


def _experts(m: Any, x: Tensor) -> Tensor:
    gates = m.gate(x).softmax(-1)
    return torch.einsum("nte,ntek->ntk", gates, torch.einsum("ntd,edk->ntek", x, m.experts))


_ANGLES = torch.arange(LENGTH)[:, None] / 10 ** torch.arange(2)
_DISTANCE = -(torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)).abs().float()
_RING = torch.eye(LENGTH).roll(1, 0) + torch.eye(LENGTH).roll(-1, 0) + torch.eye(LENGTH)
_BODIES: dict[str, Callable[[], nn.Module]] = {
    "recurrent": lambda: _last(nn.RNN(WIDTH, WIDTH, batch_first=True)),
    "LSTM": lambda: _last(nn.LSTM(WIDTH, WIDTH, 2, batch_first=True)),
    "GRU": lambda: _last(nn.GRU(WIDTH, WIDTH, batch_first=True)),
    "projected LSTM": lambda: _last(nn.LSTM(WIDTH, 12, batch_first=True, proj_size=WIDTH)),
    "cells, LSTM": lambda: _steps(nn.LSTMCell(WIDTH, WIDTH), lambda x: (_zeros(x), _zeros(x)), lambda h: h[0]),
    "cells, GRU": lambda: _steps(nn.GRUCell(WIDTH, WIDTH), _zeros, lambda h: h),
    "causal gated convolutions": lambda: _mean(
        _causal, layers=nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(2))
    ),
    "WaveNet": lambda: _mean(_wavenet, filters=_dilated(WIDTH), gates=_dilated(WIDTH)),
    "encoder": _encoder,
    "encoder, norm first, GELU": lambda: _encoder(norm_first=True, activation="gelu"),
    "decoder with queries": _decoder,
    "attention with more keys": lambda: _attention(add_bias_kv=True, add_zero_attn=True),
    "attention by einsum": _by_einsum,
    "attention, ALiBi": lambda: _attending(_alibi, slope=weight(2), away=_DISTANCE),
    "attention, rotary": lambda: _attending(_rotary, cos=_ANGLES.cos(), sin=_ANGLES.sin()),
    "attention, linear": lambda: _attending(_linear_attention),
    "attention, relative places": lambda: _attending(
        _relative, table=nn.Embedding(23, 4), places=(_DISTANCE.long() + 11)
    ),
    "state space by FFT": lambda: _mean(_state_space, decay=weight(WIDTH, 4), mix=weight(WIDTH, 4)),
    "selective state space": lambda: _mean(
        _selective,
        step=nn.Linear(8, 8),
        enter=nn.Linear(8, 4),
        leave=nn.Linear(8, 4),
        rate=weight(8, 4),
        skip=weight(8),
    ),
    "minimal GRU by scan": lambda: _mean(_min_gru, gate=nn.Linear(WIDTH, WIDTH), value=nn.Linear(WIDTH, WIDTH)),
    "attention pooling": lambda: Net(_attention_pooling, hidden=nn.Linear(8, 8), score=nn.Linear(8, 1, bias=False)),
    "latents": lambda: _mean(
        _latents, layer=nn.MultiheadAttention(WIDTH, 2, batch_first=True), latents=weight(3, WIDTH)
    ),
    "points that are turned": lambda: _mean(_points, local=nn.Linear(8, 8), turn=nn.Linear(8, 64)),
    "graph convolution": lambda: _mean(_graph, layer=nn.Linear(8, 8), neighbours=_RING / 3),
    "graph attention": lambda: _mean(
        _graph_attention, layer=nn.Linear(8, 8), source=nn.Linear(8, 1), target=nn.Linear(8, 1), neighbours=_RING
    ),
    "experts": lambda: _mean(_experts, gate=nn.Linear(8, 4), experts=weight(4, 8, 8)),
}


def _tied() -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        state = m.layer(m.embedding(x)).mean(1)
        return F.linear(state, m.embedding.weight[:3]) * math.sqrt(WIDTH)

    return Net(run, embedding=nn.Embedding(VOCABULARY, WIDTH), layer=nn.Linear(WIDTH, WIDTH))


def _made(body: Callable[[], nn.Module], whole: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: whole(body())


_KINDS: tuple[tuple[Kind, Callable[[nn.Module], nn.Module]], ...] = (("tokens", _of_tokens), ("sequence", _of_steps))
ARCHITECTURES = [
    Architecture(name if kind == "tokens" else f"{name}, of numbers", _made(body, whole), kind)
    for kind, whole in _KINDS
    for name, body in _BODIES.items()
    if kind == "tokens" or "attention" not in name
] + [
    Architecture("mean of embeddings", lambda: _of_tokens(_mean(lambda m, x: x)), "tokens"),
    Architecture("bag of embeddings", lambda: nn.Sequential(nn.EmbeddingBag(VOCABULARY, WIDTH), head(WIDTH)), "tokens"),
    Architecture("convolutions over words", lambda: _of_tokens(_convolutions(2, 3, 4), 12), "tokens"),
    Architecture(
        "LSTM, both ways", lambda: _of_tokens(_last(nn.LSTM(8, 8, batch_first=True, bidirectional=True)), 16), "tokens"
    ),
    Architecture("tied embedding", _tied, "tokens"),
    Architecture("spectrogram", _spectrogram, "sequence", shape=(64, 1)),
]
