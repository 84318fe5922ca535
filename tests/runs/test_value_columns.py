"""A row's values beside those of its class: places on the axis, and what is unusual."""

import json

import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.runs.columns import NAMES, column_names, placed
from oga_core.tasks.tabular import TabularTask

NAMED = ("age", "", "weight")


@pytest.fixture
def rows():
    """Two classes of 100; "age" is around 20 in one and around 60 in the other, "weight" is alike."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    ages = np.where(labels == 0, 20, 60) + random.normal(size=200)
    return np.stack([ages, labels, random.normal(size=200)], axis=1).astype(np.float32), labels


def test_a_value_of_another_class_is_unusual_and_stands_first(rows):
    inputs, labels = rows
    inputs[5, 0] = 60
    values = placed(inputs, NAMED, labels, 5, 1)
    assert [value.column for value in values] == ["age", "weight"]
    assert [value.unusual for value in values] == [True, False]
    age = values[0]
    assert age.given[2] < 0.2 < 0.8 < age.other[0] < age.place
    assert list(age.given) == sorted(age.given)


def test_an_ordinary_row_has_nothing_unusual_and_keeps_its_order(rows):
    inputs, labels = rows
    middle = int(np.argsort(inputs[:100, 2])[50])
    inputs[middle, 0] = np.median(inputs[:100, 0])
    values = placed(inputs, NAMED, labels, middle, -1)
    assert [(value.column, value.unusual, value.other) for value in values] == [
        ("age", False, None),
        ("weight", False, None),
    ]
    assert values[1].given[0] < values[1].place < values[1].given[2]


def test_few_samples_of_a_class_say_nothing_of_what_is_usual(rows):
    inputs, labels = rows
    labels[:] = 1
    labels[:5] = 0
    assert [(value.given, value.unusual) for value in placed(inputs, NAMED, labels, 2, -1)] == [(None, False)] * 2


def test_a_column_of_one_value_has_a_place_and_nothing_unusual(rows):
    inputs, labels = rows
    inputs[:, 2] = 7
    weight = placed(inputs, NAMED, labels, 0, 1)[-1]
    assert (weight.place, weight.given, weight.unusual) == (0.0, (0.0, 0.0, 0.0), False)


def test_names_are_read_where_they_fit_and_a_damaged_file_is_named(tmp_path):
    assert column_names(tmp_path, 3) == ()
    (tmp_path / NAMES).write_text(json.dumps(NAMED))
    assert column_names(tmp_path, 3) == NAMED
    assert column_names(tmp_path, 4) == ()
    (tmp_path / NAMES).write_text("[")
    with pytest.raises(OgaError, match=r"input_names\.json is damaged"):
        column_names(tmp_path, 3)


def test_categories_have_no_axis():
    content = {"features": ["age", "colour"], "categories": {"colour": ["red", "blue"]}}
    task = TabularTask.from_card(ModelCard(modality="tabular", classes=("a", "b"), input=content))
    assert task.input_names() == ["age", "", ""]
