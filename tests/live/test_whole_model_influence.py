"""Mirrored and generalised influence of whole small networks, against the same written out parameter by parameter."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import oga_core as oga
from oga_core.live.generalized import chosen_parameters
from oga_core.live.losses import LiveLosses


@pytest.fixture(scope="module")
def problem():
    """A small trained network in double precision, its data, and a few queries."""
    torch.manual_seed(0)
    x, y = torch.randn(40, 3).double(), torch.arange(40) % 3
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, Doubles(x, y), Doubles(x[:4] + 0.3, y[:4])


class Doubles(torch.utils.data.TensorDataset):
    """Items in double precision."""


def flat(tensors):
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])


def losses(model, data):
    return F.cross_entropy(model(data.tensors[0]), data.tensors[1], reduction="none")


def gradients(model, data):
    """`(n_samples, n_parameters)`, one sample at a time."""
    parameters = list(model.parameters())
    return np.array([flat(torch.autograd.grad(each, parameters, retain_graph=True)) for each in losses(model, data)])


def hessian(model, data):
    """Of the mean loss, one column at a time."""
    parameters = list(model.parameters())
    gradient = torch.autograd.grad(losses(model, data).mean(), parameters, create_graph=True)
    entries = torch.cat([part.ravel() for part in gradient])
    return np.array([flat(torch.autograd.grad(entry, parameters, retain_graph=True)) for entry in entries])


def test_mirrored_influence_takes_one_adam_step_up_a_single_query_with_every_parameter(problem):
    model, data, queries = problem
    before = losses(model, data).detach()
    expected = []
    for gradient in gradients(model, queries):
        moved, start = copy.deepcopy(model), 0
        for parameter in moved.parameters():  # Adam's first step is the sign of the gradient, but for its epsilon
            part = torch.tensor(gradient[start : start + parameter.numel()].reshape(parameter.shape))
            parameter.data += 5e-3 * part / (part.abs() + 1e-8)
            start += parameter.numel()
        expected.append((losses(moved, data) - before).abs().detach().numpy())
    state = copy.deepcopy(model.state_dict())
    changes = oga.mirrored_influence(model, data, queries, batch_size=7)
    np.testing.assert_allclose(changes, expected, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("by", ["output", "gradient"])
def test_generalized_influence_solves_the_papers_equation_for_whole_neurons(problem, by):
    model, data, queries = problem
    influence = oga.generalized_influence(model, data, queries, layers=["0", "2"], by=by, share=0.4, damping=0)
    asked = LiveLosses.of(model, queries, F.cross_entropy)
    masks = chosen_parameters(asked, ["0", "2"], by, 0.4)
    chosen = np.concatenate([mask.numpy().ravel() for mask in masks])
    assert chosen.sum() == 2 * 4 + 1 * 6  # two of five neurons with three weights and a bias, one of three with five
    matrix, grads = hessian(model, data), gradients(model, data)
    moved = np.linalg.solve((matrix @ matrix)[np.ix_(chosen, chosen)], (grads @ matrix)[:, chosen].T).T
    expected = -moved @ gradients(model, queries).mean(axis=0)[chosen]
    np.testing.assert_allclose(influence, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_with_all_parameters_it_is_influence_with_the_exact_inverse_hessian(problem):
    model, data, queries = problem
    damped = copy.deepcopy(model)
    influence = oga.generalized_influence(damped, data, queries, layers=["0", "2"], share=1.0, damping=1e-9)
    matrix, grads = hessian(model, data), gradients(model, data)
    size = np.mean(np.diag(matrix @ matrix))
    target = gradients(model, queries).mean(axis=0)
    expected = -grads @ matrix @ np.linalg.solve(matrix @ matrix + 1e-9 * size * np.eye(len(matrix)), target)
    assert np.corrcoef(influence, expected)[0, 1] > 0.95


def test_the_neurons_are_those_with_the_largest_output_or_gradient_on_the_queries(problem):
    model, _, queries = problem
    hidden = model[0](queries.tensors[0])
    hidden.retain_grad()
    F.cross_entropy(model[1:](hidden), queries.tensors[1], reduction="sum").backward()
    for by, values in (("output", hidden.detach()), ("gradient", hidden.grad)):
        largest = set(values.abs().mean(dim=0).argsort(descending=True)[:2].tolist())
        masks = chosen_parameters(LiveLosses.of(model, queries, F.cross_entropy), ["0"], by, 0.4)
        assert set(masks[0].any(dim=1).nonzero().ravel().tolist()) == largest
        assert masks[0].all(dim=1).sum() == 2
        assert not masks[2].any()


def test_channels_are_the_neurons_of_a_convolution():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    data = torch.utils.data.TensorDataset(torch.randn(6, 1, 4, 4), torch.arange(6) % 2)
    masks = chosen_parameters(LiveLosses.of(model, data, F.cross_entropy), ["0"], "output", 0.5)
    strongest = model[0](data.tensors[0]).abs().mean(dim=(0, 2, 3)).argsort(descending=True)[:2]
    assert set(masks[0].flatten(1).all(dim=1).nonzero().ravel().tolist()) == set(strongest.tolist())
    influence = oga.generalized_influence(model, data, data, layers=["0"], share=0.5)
    assert influence.shape == (6,)
    assert np.isfinite(influence).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["3"]}, r"Unknown layer '3'\. Choose one of: 0, 2"),
        ({"layers": ["1"]}, "'1' has no weight of its own"),
        ({"layers": []}, "at least one layer"),
        ({"layers": ["0"], "share": 1.5}, "at most 1, got 1.5"),
        ({"layers": ["0"], "by": "size"}, "Unknown measure of neurons: 'size'"),
    ],
)
def test_what_cannot_be_is_refused(problem, options, message):
    model, data, queries = problem
    with pytest.raises(oga.OgaError, match=message):
        oga.generalized_influence(model, data, queries, **options)
