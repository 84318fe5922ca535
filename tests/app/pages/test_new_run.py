"""What stands in the way of a start is said before it, beside the control that mends it."""

import json

import pytest
from page_words import problems, words

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def form(visit, folder):
    """The form with a table of texts as the data, and a model beside which a card may lie."""

    def fill(header: str, labels: list[str], classes: list[str] | None = None):
        rows = [f"{i},film number {i},{label}" for i, label in enumerate(labels)]
        (folder / "films.csv").write_text("\n".join([header, *rows]))
        (folder / "net.pt2").write_bytes(b"a model")
        if classes:
            card = {"modality": "text", "classes": classes, "input": {"max_length": 8}}
            (folder / "net.json").write_text(json.dumps(card))
        test = visit("run")
        test.text_input(key="path-data").set_value(str(folder / "films.csv")).run()
        return test.text_input(key="path-model").set_value(str(folder / "net.pt2")).run()

    return fill


def test_sound_data_can_be_started(form):
    test = form("id,text,label", ["good", "bad"] * 10, ["bad", "good"])
    assert problems(test) == []
    assert "20 samples of modality text, 2 classes" in words(test)
    assert "Classes: bad, good" in words(test)
    assert not test.button(key="start-run").disabled


def test_one_class_is_not_started(form):
    test = form("id,text,label", ["good"] * 20)
    assert "Every sample has the label &#x27;good&#x27;" in "".join(problems(test))
    assert test.button(key="start-run").disabled


def test_a_table_without_a_known_label_column_asks_for_it(form):
    test = form("id,text,mood", ["good", "bad"] * 10)
    assert test.button(key="start-run").disabled
    assert "Label column" in "".join(problems(test))
    test.selectbox(key="column-label").set_value("mood").run()
    assert problems(test) == []
    assert not test.button(key="start-run").disabled


def test_labels_that_the_model_does_not_know_are_named(form):
    test = form("id,text,label", ["good", "odd"] * 10, ["bad", "good"])
    assert "does not know: &#x27;odd&#x27;" in "".join(problems(test))
    assert test.button(key="start-run").disabled
