"""Kolmogorov-Arnold networks in the two forms that people write: a learned function of splines on every edge."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from architecture import Architecture, Net, head, weight
from torch import Tensor

N = 6
HIDDEN = 8
ORDER = 3
_KNOTS = torch.arange(-ORDER, 5 + ORDER + 1) * 0.4 - 1


def _basis(m: Any, x: Tensor) -> Tensor:
    """B-splines by the recursion of Cox and de Boor, `(n, inputs, splines)`."""
    x = x[..., None]
    knots = m.knots
    values = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for order in range(1, ORDER + 1):
        left = (x - knots[: -(order + 1)]) / (knots[order:-1] - knots[: -(order + 1)])
        right = (knots[order + 1 :] - x) / (knots[order + 1 :] - knots[1:-order])
        values = left * values[..., :-1] + right * values[..., 1:]
    return values


def _flat(m: Any, x: Tensor) -> Tensor:
    """All splines of all inputs as one linear layer, each scaled by a learned number."""
    scaled = m.splines * m.scale[..., None]
    hidden = F.linear(F.silu(x), m.base) + F.linear(_basis(m, x).flatten(1), scaled.flatten(1))
    return m.head(hidden)


def _edges(m: Any, x: Tensor) -> Tensor:
    """One function an edge, summed over the inputs."""
    curves = torch.einsum("ijk,jlk->ijl", _basis(m, x), m.curves)
    return m.head((m.base[None] * F.silu(x)[:, :, None] + m.scale[None] * curves).sum(1))


ARCHITECTURES = [
    Architecture(
        "KAN, one linear layer of splines",
        lambda: Net(
            _flat, knots=_KNOTS, base=weight(HIDDEN, N), splines=weight(HIDDEN, N, 8), scale=weight(HIDDEN, N),
            head=head(HIDDEN),
        ),
        "table",
    ),
    Architecture(
        "KAN, a spline an edge",
        lambda: Net(
            _edges, knots=_KNOTS, curves=weight(N, HIDDEN, 8), base=weight(N, HIDDEN), scale=weight(N, HIDDEN),
            head=head(HIDDEN),
        ),
        "table",
    ),
]  # fmt: skip
