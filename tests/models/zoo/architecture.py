"""An architecture of the zoo: how it is built, what it takes, and what should become of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

N_CLASSES = 3
Kind = Literal["image", "tokens", "table", "sequence"]
SHAPES: dict[Kind, tuple[int, ...]] = {"image": (3, 16, 16), "tokens": (12,), "table": (6,), "sequence": (12, 5)}
VOCABULARY = 50


@dataclass(frozen=True)
class Architecture:
    """One row of the zoo's table.

    expected: `exact`, or `refused` where a sample has no gradient of its own. package: what else it needs, "" for torch
    alone. shape: of one sample's input, where it is not that of its kind.
    """

    name: str
    build: Callable[[], nn.Module]
    kind: Kind
    expected: Literal["exact", "refused"] = "exact"
    package: str = ""
    shape: tuple[int, ...] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample's input."""
        return self.shape or SHAPES[self.kind]

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.package or importlib.util.find_spec(self.package) is not None

    def inputs(self, n: int, seed: int = 0) -> Tensor:
        """`n` random inputs."""
        generator = torch.Generator().manual_seed(seed)
        if self.kind == "tokens":
            return torch.randint(1, VOCABULARY, (n, *self.input_shape), generator=generator)
        return torch.randn(n, *self.input_shape, generator=generator)

    def model(self) -> nn.Module:
        """The model with seeded random weights, after a few batches in training mode, so that norms have statistics."""
        torch.manual_seed(0)
        model = self.build()
        with torch.no_grad():
            for seed in range(2):
                model.train()(self.inputs(8, seed + 1))
        return model.eval()


class Net(nn.Module):
    """Named parts, and a function of them and the input: a module in a line or two."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **parts: nn.Module | nn.Parameter | Tensor) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            if isinstance(part, nn.Module | nn.Parameter):
                setattr(self, name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def weight(*shape: int, scale: float = 0.3) -> nn.Parameter:
    """A random parameter."""
    return nn.Parameter(torch.randn(*shape) * scale)


def conv(n_in: int, n_out: int, size: int = 3, **options: Any) -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(n_in, n_out, size, padding=options.pop("padding", size // 2), **options)


def pooled(x: Tensor) -> Tensor:
    """The mean over all but samples and channels."""
    return x.flatten(2).mean(2)


def head(n_in: int) -> nn.Linear:
    """The last layer."""
    return nn.Linear(n_in, N_CLASSES)
