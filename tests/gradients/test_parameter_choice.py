"""Whose gradient is taken, by the words of --parameters."""

import pytest
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients.parameter_choice import choose_parameters, is_small_part


@pytest.mark.parametrize(
    ("choice", "first", "count"),
    [
        ("all", "0.0.weight", 6),
        ("last:1", "2.0.weight", 2),
        ("last:2", "1.0.weight", 4),
        ("last:9", "0.0.weight", 6),
        ("pattern:bias$", "0.0.bias", 3),
    ],
)
def test_choice_of_parameters(choice, first, count):
    model = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2)) for _ in range(3)))
    names = list(choose_parameters(model, choice))
    assert (names[0], len(names)) == (first, count)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("most", r"Unknown choice of parameters 'most'.*last:N"),
        ("last:0", "Unknown choice"),
        ("lora", "matches none of the model's 2: weight, bias"),
        ("pattern:[", "not a valid regular expression"),
    ],
)
def test_wrong_choice_of_parameters(choice, message):
    with pytest.raises(OgaError, match=message):
        choose_parameters(nn.Linear(2, 2), choice)


def test_all_means_what_the_model_trains():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert list(choose_parameters(model, "all")) == ["weight"]
    model.weight.requires_grad_(False)
    assert list(choose_parameters(model, "all")) == ["weight", "bias"]


@pytest.mark.parametrize(("choice", "expected"), [("last:1", True), ("all", False)])
def test_a_small_part_leaves_most_of_the_model_frozen(choice, expected):
    model = nn.Sequential(nn.Linear(30, 30), nn.Linear(30, 1))
    assert is_small_part(model, choice) is expected
