"""The Run page's card says what each input of a model is made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_words import problems
from streamlit.testing.v1 import AppTest

from oga_core.models.card import ModelCard
from oga_core.previews.look import inputs_in_words
from oga_core.tasks import task_for

pytestmark = pytest.mark.filterwarnings("ignore")


def page() -> None:
    import streamlit as st

    from oga_app.elements import messages
    from oga_app.views.runs.model_card import model_card

    st.code(messages.guarded(model_card)())


def written(modality: str, **fields: str) -> AppTest:
    test = AppTest.from_function(page).run()
    test.selectbox(key="card-modality").set_value(modality).run()
    for key, value in fields.items():
        name = f"card-{key.replace('_', '-')}"
        place = test.text_area(key=name) if key in ("features", "beside", "categories") else test.text_input(key=name)
        place.set_value(value)
        test.run()
    return test


def inputs_of(test: AppTest) -> dict[str, Any]:
    assert problems(test) == []
    card = ModelCard.from_json(test.code[0].value, "test")
    task_for(card)  # which reads all of it
    return dict(card.input)


def test_a_table_feeds_one_input_or_several() -> None:
    test = written("tabular", features="age\nratio: a")
    assert inputs_of(test) == {"features": ["age", "ratio: a"]}, "empty scales are 0 and 1"
    test = written("tabular", features="x_num: age, income\nx_cat: job", categories="job: cook, nurse", mean="40 3")
    expected = {"features": {"x_num": ["age", "income"], "x_cat": ["job"]}, "categories": {"job": ["cook", "nurse"]}}
    assert inputs_of(test) == {**expected, "mean": [40, 3]}
    assert inputs_in_words(ModelCard.from_json(test.code[0].value, "t")) == [
        "x_num: age, income",
        "x_cat: job (category)",
    ]


def test_columns_beside_an_image() -> None:
    assert inputs_of(written("image")) == {"image_size": [32, 32], "channels": 3}
    test = written("image", beside="meta: age, sex", image="scan", categories="sex: f, m", beside_std="10")
    section = {"features": {"meta": ["age", "sex"]}, "categories": {"sex": ["f", "m"]}, "std": [10]}
    assert inputs_of(test) == {"image_size": [32, 32], "channels": 3, "image": "scan", "columns": section}
    card = ModelCard.from_json(json.loads(json.dumps(test.code[0].value)), "t")
    assert inputs_in_words(card) == ["scan: the image", "meta: age, sex (category)"]


@pytest.mark.parametrize(
    ("modality", "fields", "said"),
    [
        ("image", {"beside": "age"}, "names no input. Write its name, a colon and its columns"),
        ("tabular", {"features": "a", "categories": "job"}, "has no categories. Write its values after a colon"),
        ("image", {"mean": "0.5, 0.5"}, "mean has 2 numbers for 3 channel(s)"),
    ],
)
def test_what_is_missing_is_said(modality: str, fields: dict[str, str], said: str) -> None:
    assert said in "".join(problems(written(modality, **fields)))


def test_every_loss_that_is_offered_makes_a_card() -> None:
    test = written("tabular", features="age")
    for loss in test.selectbox(key="card-loss").options:
        test.selectbox(key="card-loss").set_value(loss.replace(" ", "_")).run()
        assert inputs_of(test) == {"features": ["age"]}, loss
