"""Ways in which people export: other outputs, dtypes, training mode, in-place writes, arithmetic on sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_pt2 import roundtrip
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.pt2.reader import read_pt2

DYNAMIC = torch.export.Dim.DYNAMIC


class Head(nn.Module):
    """A linear head behind any function of the input."""

    def __init__(
        self, before: Callable[[Tensor], Any] = lambda x: x, after: Callable[..., Any] = lambda h, x: h
    ) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.head(self.before(x)), x)


@pytest.mark.parametrize(
    "after",
    [
        lambda h, x: {"features": x, "logits": h},
        lambda h, x: (x.sum(), x[:, None, None] * 1.0, h),
        lambda h, x: {"loss": x.sum(), "scores": h, "hidden": (x[:, None], x)},
        lambda h, x: (x.argmax(1), [h, x]),
    ],
)
def test_the_logits_are_found_among_the_outputs(after: Callable[..., Any], tmp_path: Path) -> None:
    model, x = Head(after=after).eval(), torch.randn(3, 4)
    module = roundtrip(model, (x,), tmp_path)
    assert torch.equal(module(x), model.head(x))


def test_a_model_without_logits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="no output of shape"):
        roundtrip(Head(after=lambda h, x: h.argmax(1)).eval(), (torch.randn(3, 4),), tmp_path)


def test_inputs_in_a_dict_are_named_after_it(tmp_path: Path) -> None:
    class Model(Head):
        def forward(self, batch: dict[str, Tensor]) -> Tensor:
            return self.head(batch["a"]) + batch["b"]

    model, batch = Model().eval(), {"a": torch.randn(3, 4), "b": torch.randn(3, 3)}
    program = torch.export.export(model, (batch,), dynamic_shapes=({name: {0: DYNAMIC} for name in batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    module, card = read_pt2(tmp_path / "model.pt2")
    assert card is None
    assert module.input_names == ("batch_a", "batch_b")
    assert torch.equal(module(**batch), model(batch))
    assert torch.equal(module(batch), model(batch))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    # the graph itself casts to the half dtype, which must not bring it back
    model = Head(before=lambda x: x.float().softmax(-1).to(dtype)).to(dtype).eval()
    x = torch.randn(3, 4)
    module = roundtrip(model, (x.to(dtype),), tmp_path)
    assert module.notes == (f"The model's {str(dtype)[6:]} weights are used as float32.",)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    exact = model.float().head(x.softmax(-1))
    torch.testing.assert_close(module(x), exact, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:No complete tensor found")
def test_memory_format_and_precision_of_weights_are_kept(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3)).double().eval()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    module = roundtrip(model, (x,), tmp_path)
    assert module.get_parameter("0.weight").stride() == model[0].weight.stride()
    assert torch.equal(module(x), model(x))


def test_dropout_of_a_training_export_is_switched_off(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    module = roundtrip(model, (torch.randn(3, 4),), tmp_path)
    assert module.notes == ("The model was exported in training mode; its dropout is switched off.",)
    x = torch.randn(5, 4)
    assert torch.equal(module(x), model.eval()(x))
    assert not module.train().training


def test_batch_norm_of_a_training_export_is_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(OgaError, match=r"exported in training mode.*model\.eval\(\)"):
        roundtrip(model.train(), (torch.randn(3, 4),), tmp_path)


class StandardisedWeights(nn.Linear):
    """Standardises its weight by batch norm, as NFNets do."""

    def forward(self, x: Tensor) -> Tensor:
        rows = self.weight[None]  # (1, n_outputs, n_inputs): each output's weights are a channel
        return F.linear(x, F.batch_norm(rows, None, None, training=True)[0], self.bias)


def test_batch_norm_without_running_statistics_computes_them_as_in_memory(tmp_path: Path) -> None:
    model = nn.Sequential(StandardisedWeights(4, 3), nn.BatchNorm1d(3, track_running_stats=False)).eval()
    module = roundtrip(model, (torch.randn(3, 4),), tmp_path)
    x = torch.randn(5, 4)
    assert torch.equal(module(x), model(x))


@pytest.mark.parametrize(
    "before",
    [
        lambda x: x.sub_(1.0),
        lambda x: x.view(-1, 4).mul_(2.0),
        lambda x: x[:, :2].add_(1.0).repeat(1, 2),
        lambda x: x.contiguous().relu_(),
    ],
)
def test_writing_into_the_input_is_refused(before: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"writes into its own input, buffer or parameter \(x\)"):
        roundtrip(Head(before=before).eval(), (torch.randn(3, 4),), tmp_path)


def test_a_counting_buffer_is_refused(tmp_path: Path) -> None:
    class Counting(Head):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1.0)
            return self.head(x) + self.calls

    with pytest.raises(OgaError, match="writes into its own input, buffer or parameter"):
        roundtrip(Counting().eval(), (torch.randn(3, 4),), tmp_path)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (lambda x: x + torch.randn_like(x), "draws random numbers"),
        (lambda x: x + torch.linalg.eig(x.T @ x)[0].real, "not on the list of operators"),
    ],
)
def test_operators_outside_the_list_are_named(before: Callable[[Tensor], Tensor], message: str, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=message):
        roundtrip(Head(before=before).eval(), (torch.randn(3, 4),), tmp_path, dynamic=False)


def assigned(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 0] = x[:, 1]
    y[:, 1:3] = 2.0
    y[x > 0] = -1.0
    return y


@pytest.mark.parametrize("before", [assigned, lambda x: (x * 2).relu_().add_(1.0)])
def test_writing_into_own_values_is_kept(before: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    model, x = Head(before=before).eval(), torch.randn(3, 4)
    module = roundtrip(model, (torch.randn(2, 4),), tmp_path)
    assert torch.equal(module(x), model(x))


def test_an_export_with_a_fixed_batch_runs_on_others(tmp_path: Path) -> None:
    model, x = Head().eval(), torch.randn(5, 4)
    assert torch.equal(roundtrip(model, (torch.randn(2, 4),), tmp_path, dynamic=False)(x), model(x))


def test_arithmetic_on_sizes_follows_the_inputs(tmp_path: Path) -> None:
    def before(x: Tensor) -> Tensor:
        n = x.shape[0]
        grid = torch.arange(n * 2, dtype=torch.float32).view(n, 2).repeat_interleave(2, dim=1)
        return x + grid / max(n // 2, 1) + x.new_ones((n, 4))

    model = Head(before=before).eval()
    module = roundtrip(model, (torch.randn(6, 4),), tmp_path)
    for n in (2, 5, 9):
        x = torch.randn(n, 4)
        torch.testing.assert_close(module(x), model(x))


def test_an_assumption_on_a_size_is_checked(tmp_path: Path) -> None:
    """The export holds one branch only; running it for other sizes would be wrong in silence."""

    def before(x: Tensor) -> Tensor:
        return x * 2 if x.shape[0] % 3 == 0 else x

    model = Head(before=before).eval()
    module = roundtrip(model, (torch.randn(6, 4),), tmp_path)
    x = torch.randn(9, 4)
    assert torch.equal(module(x), model(x))
    with pytest.raises(OgaError, match=r"works only where .*x\.shape\[0\] % 3.*; it got x \(7, 4\)"):
        module(torch.randn(7, 4))


def test_no_grad_blocks_cut_gradients(tmp_path: Path) -> None:
    def before(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = x.sin()
        return x * y

    model, x = Head(before=before).eval(), torch.randn(3, 4, requires_grad=True)
    module = roundtrip(model, (torch.randn(2, 4),), tmp_path)
    expected, gradient = (torch.autograd.grad(m(x).sum(), x)[0] for m in (model, module))
    assert torch.equal(gradient, expected)
