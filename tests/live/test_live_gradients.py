"""Gradients of live models: exact against a plain loop, for any loss, and nothing of the caller's is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import oga_core as oga
from oga_core.errors import OgaError

N = 24


def dataset(n_classes: int = 3) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(N, 5, generator=generator)
    return TensorDataset(inputs, torch.randint(n_classes, (N,), generator=generator))


def network(outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, outputs))


def loop_norms(model: nn.Module, data: Dataset, loss: Callable[[Tensor, Tensor], Tensor]) -> np.ndarray:
    """The L2 norm of every sample's gradient, one backward pass each."""
    norms = []
    for i in range(len(data)):  # type: ignore[arg-type]
        value, label = data[i]
        gradients = torch.autograd.grad(loss(model(value[None]), label[None]).sum(), list(model.parameters()))
        norms.append(float(sum((part**2).sum() for part in gradients)) ** 0.5)
    return np.array(norms)


class Regression(Dataset):
    """Targets of one number, as the caller's own data set gives them."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return dataset().tensors[0][i], torch.tensor([float(i % 5)])


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Dataset, int]] = {
    "cross-entropy": (F.cross_entropy, dataset(), 3),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), dataset(), 3),
    "squared error": (F.mse_loss, Regression(), 1),
    "huber": (nn.HuberLoss(), Regression(), 1),
    "own, one a sample": (lambda z, y: (z - y).abs().sum(1) ** 1.5, Regression(), 1),
    "own, one a batch": (lambda z, y: ((z - y) ** 4).mean(), Regression(), 1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_norms_are_those_of_a_plain_loop(name: str) -> None:
    loss, data, outputs = LOSSES[name]
    model = network(outputs)
    sketch = oga.per_sample_gradients(model, data, loss=loss, sketch_dim=16, batch_size=7)
    expected = loop_norms(model, data, loss)
    assert sketch.l2_norm_all is not None
    np.testing.assert_allclose(sketch.l2_norm_all, expected, rtol=2e-4)
    assert (sketch.logits is None) == (name not in ("cross-entropy", "smoothed"))


def test_losses_are_the_callers() -> None:
    loss, data, outputs = LOSSES["huber"]
    model = network(outputs)
    sketch = oga.per_sample_gradients(model, data, loss=loss)
    with torch.no_grad():
        expected = [float(loss(model(data[i][0][None]), data[i][1][None])) for i in range(N)]
    np.testing.assert_allclose(sketch.losses, expected, rtol=1e-5)


def test_all_ways_of_giving_the_data_agree() -> None:
    model, data = network(), dataset()
    inputs, labels = data.tensors
    expected = oga.per_sample_gradients(model, data).sketch
    for given in (
        DataLoader(data, batch_size=4, shuffle=True),
        (inputs.numpy(), labels.numpy()),
        [(inputs[i], int(labels[i])) for i in range(N)],
    ):
        np.testing.assert_allclose(oga.per_sample_gradients(model, given).sketch, expected, rtol=1e-4, atol=1e-6)


def test_the_model_is_left_as_it_was() -> None:
    model = network()
    model.train()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    oga.per_sample_gradients(model, dataset())
    assert model.training
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_scores_are_columns_in_the_data_s_order() -> None:
    sketch = oga.per_sample_gradients(network(), dataset())
    scores = oga.compute_scores(sketch, ["loss", "l2_norm_sketch"])
    assert list(scores) == ["loss", "l2_norm_sketch"]
    np.testing.assert_allclose(scores["loss"], sketch.losses, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "net"}, "model is 'str'. Give a torch.nn.Module"),
        ({"dataset": 3}, "dataset is 'int'. Give a Dataset with a length"),
        ({"dataset": []}, "The dataset is empty"),
        ({"loss": "mse"}, "loss is 'mse'. Give a function of"),
        ({"parameters": "most"}, "Unknown choice of parameters 'most'"),
        ({"dataset": [(torch.zeros(5), -1)] * 3}, "has the label -1. Class labels are whole numbers from 0"),
        ({"loss": lambda z, y: torch.zeros(2)}, "Return one number a sample"),
    ],
)
def test_errors_name_the_argument(change: dict, message: str) -> None:
    arguments = {"model": network(), "dataset": dataset(), **change}
    with pytest.raises(OgaError, match=message.replace(".", r"\.")):
        oga.per_sample_gradients(arguments.pop("model"), arguments.pop("dataset"), **arguments)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("inputs", [torch.float32, torch.float64])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_numbers_of_either_precision_suit_weights_of_either(loss, weights, inputs):
    values, labels = dataset().tensors
    labels = labels if loss is F.cross_entropy else values[:, 0]
    model = network(3 if loss is F.cross_entropy else 1).to(weights)
    labels = labels if loss is F.cross_entropy else labels.double()
    expected = loop_norms(model, TensorDataset(values.to(weights), labels), lambda z, y: loss(z.squeeze(1), y))
    for data in (TensorDataset(values.to(inputs), labels), (values.to(inputs).numpy(), labels.numpy())):
        norms = oga.per_sample_gradients(model, data, loss=loss, sketch_dim=16).l2_norm_all
        np.testing.assert_allclose(norms, expected, rtol=1e-4)


@pytest.mark.parametrize("layer", [nn.Linear(5, 3), nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 3, 5))])
def test_short_weights_are_told_how_to_meet_their_inputs(layer):
    model = nn.Sequential(layer, nn.Flatten()).bfloat16()
    with pytest.raises(OgaError, match=r"of different precision: .* model\.float\(\)"):
        oga.per_sample_gradients(model, dataset())
    assert oga.per_sample_gradients(model.float(), dataset(), sketch_dim=16).coverage == 1
