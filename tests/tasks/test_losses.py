"""The losses that a model card names, against torch's own."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from oga_core.errors import OgaError
from oga_core.models.card import CROSS_ENTROPY, ModelCard
from oga_core.models.packaging.losses import loss_entry
from oga_core.tasks.losses import Loss

NUMBERS = torch.tensor([1.0, -2.0, 30.0])
OUTPUTS = torch.tensor([[0.5], [-2.0], [1.0]])
LOGITS = torch.tensor([[2.0, -1.0, 0.3], [0.0, 1.0, -4.0]])
LABELS = torch.tensor([2, 1])


def card(loss: object, classes: list[str] | None = None) -> ModelCard:
    content = {"modality": "tabular", "classes": classes or [], "input": {"features": ["a"]}, "loss": loss}
    return ModelCard.from_json(json.dumps(content), "card.json")


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(delta=2.5), nn.SmoothL1Loss()])
def test_losses_of_numbers_are_those_of_torch(loss: nn.Module) -> None:
    ours = Loss.from_card(card(dict(loss_entry(loss))))
    loss.reduction = "none"
    assert torch.equal(ours(OUTPUTS, NUMBERS), loss(OUTPUTS[:, 0], NUMBERS))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5])),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.2),
    ],
)
def test_cross_entropy_is_that_of_torch(loss: nn.CrossEntropyLoss) -> None:
    ours = Loss.from_card(card(dict(loss_entry(loss)), ["a", "b", "c"]))
    loss.reduction = "none"
    assert torch.equal(ours(LOGITS, LABELS), loss(LOGITS, LABELS))


def test_a_model_of_standardised_numbers_is_told_so() -> None:
    loss = Loss.from_card(card({"name": "mean_squared_error", "mean": 10, "std": 5}))
    assert loss(torch.tensor([[1.0]]), torch.tensor([20.0])).tolist() == [1.0]
    assert loss.in_data_units(torch.tensor([[2.0]])).tolist() == [[20.0]]


def test_the_card_keeps_the_loss() -> None:
    again = ModelCard.from_json(card("huber").to_json(), "again")
    assert (again.loss, again.target) == ({"name": "huber"}, "number")
    plain = ModelCard("tabular", ("a", "b"))
    assert plain.loss == CROSS_ENTROPY
    assert "loss" not in json.loads(plain.to_json())


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("hinge", "hinge"),
        (3, "must be a name"),
        ({"name": "huber", "beta": 1}, "beta"),
        ({"name": "huber", "delta": 0}, "above 0"),
        ({"name": "huber", "delta": "1"}, "a number"),
        ({"name": "mean_squared_error", "std": -1}, "above 0"),
        ({"name": "cross_entropy", "label_smoothing": 1}, "from 0 to below 1"),
        ({"name": "cross_entropy", "class_weights": [1, 2]}, "a list of 3 numbers"),
        ({"name": "cross_entropy", "class_weights": [1, 2, -1]}, "a list of 3 numbers"),
    ],
)
def test_a_loss_that_no_training_had_is_refused(loss: object, said: str) -> None:
    with pytest.raises(OgaError, match=said):
        Loss.from_card(card(loss, ["a", "b", "c"]))


def test_a_language_model_has_its_own_loss() -> None:
    with pytest.raises(OgaError, match="one of its own"):
        ModelCard.from_json('{"modality": "causal_lm", "loss": "huber"}', "card.json")


def test_a_module_without_a_name_is_a_loss_of_one_s_own() -> None:
    assert loss_entry(nn.KLDivLoss()) is None
