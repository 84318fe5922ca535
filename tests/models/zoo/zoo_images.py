"""Architectures for images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from architecture import Architecture, Net, conv, head, pooled, weight
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


def _stack(*layers: nn.Module, width: int = 8) -> nn.Module:
    """Layers between a first convolution and a pooled linear head."""
    return nn.Sequential(conv(3, 8), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head(width))


def _residual(*layers: nn.Module) -> nn.Module:
    return Net(lambda m, x: x + m.inner(x), inner=nn.Sequential(*layers))


def _gated(gate: nn.Module) -> nn.Module:
    return Net(lambda m, x: x * torch.sigmoid(m.gate(x)), gate=gate)


def _parametrised(parametrise: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: _stack(parametrise(conv(8, 8)), nn.ReLU())


def _branches() -> nn.Module:
    inception = Net(
        lambda m, x: torch.cat([m.one(x), m.three(x), m.five(x), m.pool(x)], 1),
        one=conv(8, 2, 1),
        three=conv(8, 2),
        five=conv(8, 2, 5),
        pool=nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(8, 2, 1)),
    )
    return _stack(inception, nn.ReLU())


def _dense() -> nn.Module:
    layer = Net(lambda m, x: torch.cat([x, m.conv(F.relu(m.norm(x)))], 1), norm=nn.BatchNorm2d(8), conv=conv(8, 4))
    return _stack(layer, nn.ReLU(), width=12)


def _squeeze() -> nn.Module:
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(8, 2, 1), nn.ReLU(), conv(2, 8, 1))
    return _stack(conv(8, 8), _gated(gate))


def _both_attentions() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        x = x * torch.sigmoid(m.channel(x.mean((2, 3))) + m.channel(x.amax((2, 3))))[:, :, None, None]
        return x * torch.sigmoid(m.place(torch.stack([x.mean(1), x.amax(1)], 1)))

    return _stack(Net(run, channel=nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8)), place=conv(2, 1, 7)))


def _pyramid() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        fine = F.relu(m.fine(x))
        coarse = F.relu(m.coarse(fine))
        wide = F.interpolate(m.side(coarse), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return m.head(pooled(fine + wide))

    return Net(run, fine=conv(3, 8), coarse=conv(8, 12, stride=2), side=conv(12, 8, 1), head=head(8))


def _u_net() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        top = F.relu(m.down(x))
        return m.head(pooled(m.last(torch.cat([top, m.up(F.relu(m.deep(F.max_pool2d(top, 2))))], 1))))

    return Net(
        run, down=conv(3, 6), deep=conv(6, 8), up=nn.ConvTranspose2d(8, 6, 2, stride=2), last=conv(12, 8), head=head(8)
    )


def _resized(mode: str) -> Callable[[], nn.Module]:
    resize = Net(lambda m, x: F.interpolate(x, size=(11, 11), mode=mode, antialias=True))
    return lambda: _stack(resize, conv(8, 8), nn.ReLU())


def _layer_norm_2d() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        y = m.norm(m.depthwise(x).permute(0, 2, 3, 1))
        return x + (m.scale * m.narrow(F.gelu(m.wide(y)))).permute(0, 3, 1, 2)

    block = Net(
        run, depthwise=conv(8, 8, 7, groups=8), norm=nn.LayerNorm(8), wide=nn.Linear(8, 16), narrow=nn.Linear(16, 8),
        scale=weight(8),
    )  # fmt: skip
    return _stack(block)


def _response_norm() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        size = x.norm(dim=(2, 3), keepdim=True)
        return x + m.gain * x * size / (size.mean(1, keepdim=True) + 1e-6) + m.bias

    return _stack(conv(8, 8), Net(run, gain=weight(1, 8, 1, 1), bias=weight(1, 8, 1, 1)))


def _standardised() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        w = m.kernel
        spread, mean = torch.var_mean(w, dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, (w - mean) * torch.rsqrt(spread * 72 + 1e-4) * m.gain, m.bias, padding=1)

    return _stack(Net(run, kernel=weight(8, 8, 3, 3), gain=weight(8, 1, 1, 1, scale=1.0), bias=weight(8)), nn.ReLU())


def _transformer_of_images() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        patches = m.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([m.token.expand(len(x), -1, -1), patches], 1) + m.position
        return m.head(m.encoder(tokens)[:, 0])

    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
    return Net(
        run, patch=nn.Conv2d(3, 8, 4, stride=4), token=weight(1, 1, 8), position=weight(1, 17, 8),
        encoder=nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), head=head(8),
    )  # fmt: skip


def _windows() -> nn.Module:
    places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
    away = places[:, :, None] - places[:, None] + 3

    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        n = len(x)
        x = torch.roll(m.patch(x).permute(0, 2, 3, 1), (-1, -1), (1, 2))
        tokens = x.view(n, 2, 4, 2, 4, 8).transpose(2, 3).reshape(n * 4, 16, 8)
        q, k, v = m.qkv(tokens).view(n * 4, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        bias = m.table[:, m.index.flatten()].view(2, 16, 16)
        mixed = ((q @ k.transpose(-2, -1)) / 2 + bias).softmax(-1) @ v
        return m.head(m.out(mixed.transpose(1, 2).reshape(n, 64, 8)).mean(1))

    return Net(
        run, patch=nn.Conv2d(3, 8, 2, stride=2), qkv=nn.Linear(8, 24), out=nn.Linear(8, 8), head=head(8),
        table=weight(2, 49), index=away[0] * 7 + away[1],
    )  # fmt: skip


def _mixer() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        tokens = m.patch(x).flatten(2).transpose(1, 2)
        tokens = tokens + m.across(m.norm(tokens).transpose(1, 2)).transpose(1, 2)
        return m.head((tokens + m.within(tokens)).mean(1))

    return Net(
        run, patch=nn.Conv2d(3, 8, 4, stride=4), norm=nn.LayerNorm(8), within=nn.Sequential(nn.Linear(8, 8), nn.GELU()),
        across=nn.Sequential(nn.Linear(16, 12), nn.GELU(), nn.Linear(12, 16)), head=head(8),
    )  # fmt: skip


def _pose() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        angles = m.pose(x.flatten(1)).view(-1, 2, 3) * 0.1 + m.still
        grid = F.affine_grid(angles, [x.shape[0], 3, 16, 16], align_corners=False)
        return m.head(pooled(F.relu(m.conv(F.grid_sample(x, grid, align_corners=False)))))

    return Net(run, pose=nn.Linear(768, 6), still=torch.eye(2, 3), conv=conv(3, 8), head=head(8))


def _unfolded() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        kernel = m.make(F.relu(m.narrow(x))).view(len(x), 2, 1, 9, 256)
        parts = F.unfold(x, 3, padding=1).view(len(x), 2, 4, 9, 256)
        return (kernel * parts).sum(3).view(len(x), 8, 16, 16)

    return _stack(Net(run, narrow=conv(8, 4, 1), make=conv(4, 18, 1)))


def _bilinear_pooling() -> nn.Module:
    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        a = F.relu(m.conv(x)).flatten(2)
        return m.head(F.normalize((a @ a.transpose(1, 2) / a.shape[-1]).flatten(1)))

    return Net(run, conv=conv(3, 5), head=head(25))


def _capsules() -> nn.Module:
    def squash(x: torch.Tensor) -> torch.Tensor:
        size = x.norm(dim=-1, keepdim=True)
        return x * size / (1 + size**2)

    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        low = squash(m.conv(x).view(len(x), 4, 2, -1).mean(-1))
        votes = torch.einsum("nid,ijde->nije", low, m.votes)
        logits = torch.zeros_like(votes[..., 0])
        for _ in range(2):
            high = squash((logits.softmax(2)[..., None] * votes).sum(1))
            logits = logits + (votes * high[:, None]).sum(-1)
        return m.head(high.flatten(1))

    return Net(run, conv=conv(3, 8, stride=4), votes=weight(4, 3, 2, 4), head=head(12))


def _own_kernels() -> nn.Module:
    """Each sample's kernel is mixed of three, and all samples are convolved at once, a group for each."""

    def run(m: Net, x: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = x.shape
        kernels = torch.einsum("nk,koihw->noihw", m.mix(x.mean((2, 3))).softmax(1), m.kernels)
        together = F.conv2d(x.reshape(1, n * channels, height, width), kernels.flatten(0, 1), padding=1, groups=n)
        return together.reshape(n, 8, height, width)

    return _stack(Net(run, mix=nn.Linear(8, 3), kernels=weight(3, 8, 8, 3, 3)), nn.ReLU())


ARCHITECTURES = [
    Architecture(name, build, "image")
    for name, build in {
        "kernels of each sample's own": _own_kernels,
        "plain convolutions": lambda: _stack(conv(8, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8)),
        "depthwise separable": lambda: _stack(conv(8, 8, groups=8), conv(8, 8, 1), nn.ReLU6()),
        "grouped and dilated": lambda: _stack(conv(8, 8, groups=2), conv(8, 8, dilation=2, padding=2), nn.SiLU()),
        "shuffled channels": lambda: _stack(conv(8, 8, groups=2), nn.ChannelShuffle(2), conv(8, 8, groups=2)),
        "pixel shuffle": lambda: _stack(conv(8, 8), nn.PixelShuffle(2), conv(2, 8)),
        "residual, batch norm": lambda: _stack(_residual(conv(8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU())),
        "residual, norm first": lambda: _stack(_residual(nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8))),
        "group norm": lambda: _stack(conv(8, 8), nn.GroupNorm(2, 8), nn.ReLU()),
        "instance norm": lambda: _stack(conv(8, 8), nn.InstanceNorm2d(8, affine=True), nn.ReLU()),
        "local response norm": lambda: _stack(conv(8, 8), nn.LocalResponseNorm(3), nn.ReLU()),
        "global response norm": _response_norm,
        "layer norm, layer scale": _layer_norm_2d,
        "PReLU": lambda: _stack(conv(8, 8), nn.PReLU(8)),
        "gated linear unit": lambda: _stack(conv(8, 16), nn.GLU(1)),
        "maxout": lambda: _stack(conv(8, 16), Net(lambda m, x: torch.maximum(*x.chunk(2, 1)))),
        "branches": _branches,
        "dense block": _dense,
        "squeeze and excite": _squeeze,
        "channel and place attention": _both_attentions,
        "pyramid": _pyramid,
        "u-net": _u_net,
        "bicubic, antialiased": _resized("bicubic"),
        "weight norm": _parametrised(weight_norm),
        "spectral norm": _parametrised(spectral_norm),
        "standardised weights": _standardised,
        "transformer of patches": _transformer_of_images,
        "shifted windows": _windows,
        "mixer": _mixer,
        "spatial transformer": _pose,
        "involution": _unfolded,
        "bilinear pooling": _bilinear_pooling,
        "capsules": _capsules,
        "one convolution twice": lambda: (lambda c: _stack(c, nn.Tanh(), c))(conv(8, 8)),
        "convolution as head": lambda: nn.Sequential(
            conv(3, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), conv(8, 3, 1), nn.Flatten()
        ),
        "average over frequencies": lambda: _stack(Net(lambda m, x: torch.fft.fft2(x, norm="ortho").real), conv(8, 8)),
    }.items()
] + [
    Architecture(
        "batch norm of the batch alone",
        lambda: _stack(conv(8, 8), nn.BatchNorm2d(8, track_running_stats=False)),
        "image",
    )
]
