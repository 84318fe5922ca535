"""Every kind of layer, eager and as a `.pt2` graph, against gradients computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine_helpers import ArrayTask, random_samples
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from oga_core.gradients import PassOptions, gradient_pass

N_CLASSES = 3


def exact_norms(model: nn.Module, samples, names=None) -> tuple[np.ndarray, np.ndarray]:
    """L1 and L2 norms of the gradients, one backward pass a sample."""
    task = ArrayTask()
    chosen = [p for name, p in model.named_parameters() if names is None or name in names]
    l1, l2 = [], []
    for row in range(len(samples)):
        batch = task.batch(samples, np.array([row]))
        loss = task.losses(task.outputs(model, batch), batch).sum()
        flat = torch.cat([g.flatten() for g in torch.autograd.grad(loss, chosen, materialize_grads=True)])
        l1.append(flat.abs().sum().item())
        l2.append(flat.norm().item())
    return np.array(l1), np.array(l2)


def assert_exact(model: nn.Module, samples, folder, *, task=None, batch_size=5, **options):
    """The fast way is taken, covers everything, and agrees with the loop."""
    model.eval()
    result = gradient_pass(
        task or ArrayTask(),
        model,
        samples,
        folder=folder,
        options=PassOptions(parameters="all", exact_l1=True, batch_size=batch_size, **options),
    )
    assert [note for note in result.notes if "last linear layer" not in note] == []
    assert result.sketch.coverage == 1
    assert result.sketch.check_error < 1e-5
    l1, l2 = exact_norms(model, samples)
    np.testing.assert_allclose(result.sketch.l2_norm_all, l2, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.l1_norm_all, l1, rtol=1e-4)
    return result


class Pooled(nn.Module):
    """A layer under test between data and a linear head, so that its input is on the tape and its output is pooled."""

    def __init__(self, layer: nn.Module, channels: int, first: nn.Module | None = None):
        super().__init__()
        self.first, self.layer, self.head = first or nn.Identity(), layer, nn.Linear(channels, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.layer(self.first(x)))
        return self.head(hidden.flatten(2).mean(2) if hidden.ndim > 2 else hidden)


CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3), (4, 9, 8)),
    "wide": (nn.Conv2d(70, 66, 3, padding=1), (70, 5, 5)),
    "strided": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8)),
    "uneven stride, cut border": (nn.Conv2d(4, 6, (3, 2), stride=(3, 2)), (4, 11, 9)),
    "dilated": (nn.Conv2d(4, 6, 3, dilation=2, padding=(2, 1)), (4, 9, 8)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 9, 8)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding=1), (4, 9, 8)),
    "pointwise strided": (nn.Conv2d(4, 6, 1, stride=2), (4, 9, 8)),
    "same": (nn.Conv2d(4, 6, 5, padding="same"), (4, 9, 8)),
    "valid": (nn.Conv2d(4, 6, 3, padding="valid"), (4, 9, 8)),
    "circular": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (4, 9, 8)),
    "one output channel": (nn.Conv2d(4, 1, 3), (4, 9, 8)),
    "no bias": (nn.Conv2d(4, 6, 3, bias=False), (4, 9, 8)),
    "one dimension": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 17)),
    "three dimensions": (nn.Conv3d(4, 6, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1)), (4, 3, 6, 5)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), (4, 5, 6)),
    "transposed strided": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), (4, 5, 6)),
    "transposed grouped": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, dilation=2), (4, 5, 6)),
    "transposed one dimension": (nn.ConvTranspose1d(4, 6, 4, stride=3), (4, 7)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("on_tape", [False, True])
def test_convolutions(name, on_tape, tmp_path):
    layer, shape = CONVOLUTIONS[name]
    first = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}[len(shape)](shape[0], shape[0], 1) if on_tape else None
    channels = layer.out_channels
    assert_exact(Pooled(layer, channels, first), random_samples(8, *shape), tmp_path)


NORMS = {
    "batch": (nn.BatchNorm2d(4), (4, 5, 6)),
    "batch, flat": (nn.BatchNorm1d(4), (4,)),
    "batch, sequences": (nn.BatchNorm1d(4), (4, 7)),
    "group": (nn.GroupNorm(2, 4), (4, 5, 6)),
    "instance": (nn.InstanceNorm2d(4, affine=True), (4, 5, 6)),
    "instance, running": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (4, 5, 6)),
    "layer over the image": (nn.LayerNorm((4, 5, 6)), (4, 5, 6)),
    "layer": (nn.LayerNorm(6), (4, 6)),
    "root mean square": (nn.RMSNorm(6), (4, 6)),
    "root mean square, eps": (nn.RMSNorm(6, eps=0.1), (4, 6)),
    "no bias": (nn.LayerNorm(6, bias=False), (4, 6)),
    "prelu": (nn.PReLU(4), (4, 5, 6)),
    "prelu, one slope": (nn.PReLU(), (4, 5, 6)),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("on_tape", [False, True])
def test_normalisations(name, on_tape, tmp_path):
    layer, shape = NORMS[name]
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())):
            tensor.uniform_(0.5, 2)
    first = nn.Linear(shape[-1], shape[-1]) if on_tape else None
    assert_exact(Pooled(layer, 4, first), random_samples(8, *shape), tmp_path)


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

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.positions = nn.Parameter(torch.randn(1, 8, 6))
        self.embed, self.head = nn.Linear(6, 6), nn.Linear(6, N_CLASSES)
        self.scale = nn.Parameter(torch.rand(6))

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x)], 1) + self.positions[:, : x.shape[1] + 1]
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
        return self.head((self.weight * x.to(torch.float32)).tanh().mean(1) * (1.0 + self.offset))


class InPlaceAfterBatchNorm(nn.Module):
    """The trap: what a hook on the normalisation would see later is the activation's output."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, N_CLASSES)
        self.norm.running_mean.uniform_(-1, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.norm(self.relu(self.conv(x))))
        return self.head(x.mean((2, 3)))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.layer, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3), nn.Linear(3, N_CLASSES)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        small = self.norm(self.conv(F.avg_pool2d(x, 2)).tanh()).mean((2, 3))
        x = self.norm(self.conv(self.norm(self.conv(x).tanh()))).mean((2, 3))
        return self.head(self.layer(self.layer(x).tanh()) + small)


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


@pytest.mark.parametrize("model", [InPlaceAfterBatchNorm, Shared])
def test_image_models(model, tmp_path):
    torch.manual_seed(0)
    assert_exact(model(), random_samples(8, 3, 8, 8), tmp_path)


class Frames(nn.Module):
    """Frames of a video are folded into the batch; with three channels or five, that can look like another layout."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, N_CLASSES)

    def forward(self, x):
        n, time = x.shape[:2]
        x = self.norm(self.conv(x.flatten(0, 1))).relu().mean((2, 3))
        return self.head(x.view(n, time, -1).mean(1))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 7])
def test_sizes_of_the_model_that_look_like_the_batch(channels, tmp_path):
    assert_exact(Frames(channels), random_samples(9, 5, channels, 6, 6), tmp_path, batch_size=4)


def test_weights_and_flags_are_left_as_they_were(tmp_path):
    model = InPlaceAfterBatchNorm()
    model.head.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_pass(
        ArrayTask(), model, random_samples(8, 3, 8, 8), folder=tmp_path, options=PassOptions(parameters="all")
    )
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {"head.bias"}
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
