"""Which texts of a row a person may correct, and where they stand."""

import pytest

from oga_core.errors import OgaError
from oga_core.readers.answers.responses import responses
from oga_core.readers.tables.pointers import keys_of, pointer, replaced

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    ("row", "places"),
    [
        ({"messages": TURNS}, {"/messages/1/content": "hello"}),
        ({"messages": '[{"role": "assistant", "content": "x"}]'}, {"/messages/0/content": "x"}),
        ({"Conversations": [{"from": "gpt", "value": "a"}]}, {"/Conversations/0/value": "a"}),
        ({"instruction": "i", "input": "x", "output": "o"}, {"/output": "o"}),
        ({"prompt": "p", "completion": "c"}, {"/completion": "c"}),
        ({"prompt": "p", "response": "c"}, {"/response": "c"}),
        ({"prompt": [TURNS[0]], "completion": [TURNS[1]]}, {"/completion/0/content": "hello"}),
        ({"question": "q", "answer": "[not a list"}, {"/answer": "[not a list"}),
        ({"text": "t"}, {"/text": "t"}),
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, {"/chosen": "a", "/rejected": "b"}),
        ({"chosen": TURNS, "rejected": TURNS}, {"/chosen/1/content": "hello", "/rejected/1/content": "hello"}),
        ({"a/b": 1, "messages": [{"role": "user", "content": "hi"}]}, {}),
        ({"messages": None}, {}),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": []}]}, {}),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "image"}]}]},
            {"/messages/0/content/0/text": "x"},
        ),
    ],
)
def test_the_responses_of_a_row(row, places):
    assert responses(row) == places


def test_a_text_column_that_was_named():
    assert responses({"body": "b", "text": "t"}, "body") == {"/body": "b"}


def test_a_pointer_leads_back_to_its_keys():
    assert pointer("a/b~c", 3, "x") == "/a~1b~0c/3/x"
    assert keys_of(pointer("a/b~c", 3, "x")) == ["a/b~c", "3", "x"]
    with pytest.raises(OgaError, match="JSON Pointer"):
        keys_of("completion")


def test_what_is_replaced_leaves_the_row_as_it_was():
    row = {"m": [{"c": 1}, {"c": 2}], "j": '[{"c": 1}]'}
    assert replaced(row, ["m", "1", "c"], 3)["m"] == [{"c": 1}, {"c": 3}]
    assert replaced(row, ["j", "0", "c"], "ü")["j"] == '[{"c": "ü"}]'
    assert row == {"m": [{"c": 1}, {"c": 2}], "j": '[{"c": 1}]'}
    for keys in (["x"], ["m", "c"], ["m", "5"], ["m", "0", "d"]):
        with pytest.raises(LookupError):
            replaced(row, keys, 0)
