"""Operators by count: what people's models use beyond layers gives the same outputs and gradients from the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_pt2 import roundtrip
from torch import Tensor, nn

from oga_core.models.pt2.sizes import grouped

EDGES = torch.linspace(-2, 2, 5)
UPPER = torch.eye(4)


class Net(nn.Module):
    """A convolution, the function that is tried, and a head."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self.conv(x)).mean((2, 3)))


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "median": lambda x: x - x.median(3, keepdim=True).values,
    "kthvalue": lambda x: x - x.kthvalue(2, 3, keepdim=True).values,
    "searchsorted": lambda x: x * torch.searchsorted(EDGES, x),
    "bucketize": lambda x: x * torch.bucketize(x, EDGES),
    "repeat_interleave": lambda x: x.repeat_interleave(torch.tensor([1, 2, 0, 1]), 3, output_size=4),
    "triu_indices": lambda x: (
        x + x[:, :, torch.triu_indices(4, 4)[0], torch.triu_indices(4, 4)[1]].sum(2)[..., None, None]
    ),
    "erfinv": lambda x: torch.erfinv(0.9 * torch.tanh(x)),
    "lgamma": lambda x: torch.lgamma(x.abs() + 1),
    "hypot": lambda x: torch.hypot(x, x + 1),
    "atanh": lambda x: torch.atanh(0.9 * torch.tanh(x)),
    "exp2": torch.exp2,
    "fft": lambda x: torch.fft.fft(x, norm="ortho").real,
    "rfft2": lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(4, 4)),
    "stft": lambda x: (
        torch.stft(x.flatten(1), 8, window=torch.ones(8), return_complex=True).abs()[:, None].repeat(1, 2, 1, 1)
    ),
    "complex": lambda x: torch.complex(x, x + 1).abs(),
    "linalg_inv": lambda x: x @ torch.linalg.inv(UPPER + x.transpose(2, 3) @ x),
    "matrix_exp": lambda x: torch.linalg.matrix_exp(0.1 * x),
    "householder": lambda x: torch.linalg.householder_product(x, 0.1 * x[..., 0]),
    "linalg_solve": lambda x: torch.linalg.solve(UPPER + x.transpose(2, 3) @ x, x),
    "any": lambda x: x * torch.any(x > 0, dim=(2, 3), keepdim=True),
    "as_strided": lambda x: x.contiguous().as_strided((x.shape[0], 2, 4, 4), (32, 16, 4, 1)),
    "masked_select": lambda x: x + torch.masked_select(x, x > -1e9).view(-1, 2, 4, 4),
    "histc": lambda x: x * torch.histc(x.detach(), 4),
    "multiply": lambda x: torch.multiply(x, x),
    "antialias": lambda x: F.interpolate(x, size=(3, 3), mode="bilinear", antialias=True),
    "grid_sample_3d": lambda x: F.grid_sample(x[:, :, None], torch.zeros(x.shape[0], 1, 4, 4, 3), align_corners=False)[
        :, :, 0
    ],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outputs_and_gradients_are_those_in_memory(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Net(FUNCTIONS[name]).eval(), torch.randn(5, 1, 4, 4)
    module = roundtrip(model, (torch.randn(3, 1, 4, 4),), tmp_path)
    assert torch.allclose(module(x), model(x), atol=1e-6)
    exact = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    parameters = dict(module.named_parameters())
    given = torch.autograd.grad(module(x).square().sum(), [parameters[key] for key, _ in model.named_parameters()])
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in zip(given, exact, strict=True))


def test_a_refusal_names_the_users_line(tmp_path: Path) -> None:
    import oga_core
    from oga_core.errors import OgaError

    with pytest.raises(
        OgaError, match=r"aten.*eig.* The step is in test_pt2_operators\.py, line \d+: return self\.head"
    ):
        oga_core.package_model(
            Net(lambda x: torch.linalg.eig(x)[0].real[..., None]), torch.randn(2, 1, 4, 4), tmp_path / "model.pt2",
            classes=["a", "b", "c"],
        )  # fmt: skip


@pytest.mark.parametrize("groups", [0, -1, 3, 2**40, 1.5, None])
def test_an_absurd_number_of_groups_is_stopped_before_it_is_computed_with(groups: Any) -> None:
    together = grouped(F.conv2d, 6)
    x, weight = torch.randn(1, 2, 4, 4), torch.randn(2, 1, 3, 3)
    assert together(x, weight, None, 1, 0, 1, 2).shape == (1, 2, 2, 2)
    with pytest.raises(RuntimeError, match=r"a convolution of \(1, 2, 4, 4\) has .* groups"):
        together(x, weight, None, 1, 0, 1, groups)
