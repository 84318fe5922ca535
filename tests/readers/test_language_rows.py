"""Rows for language models in every form that trainers read, and what is wrong with those that they could not."""

import json

import pytest

from oga_core.errors import UnreadableSample
from oga_core.readers import read_samples
from oga_core.readers.language import normalise, shape_of

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}


def read(row):
    return normalise(row, shape_of(list(row)))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "p", "response": "r"}, {"prompt": "p", "completion": "r"}),
        ({"input": "p", "output": "r"}, {"prompt": "p", "completion": "r"}),
        ({"instruction": "p", "context": "c", "response": "r"}, {"prompt": "p\n\nc", "completion": "r"}),
        ({"messages": json.dumps([USER, ANSWER])}, {"messages": [USER, ANSWER]}),
        (
            {"messages": [USER, ANSWER], "tools": "[]", "chat_template_kwargs": {"thinking": False}},
            {"messages": [USER, ANSWER], "tools": [], "chat_template_kwargs": {"thinking": False}},
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"},
            {"messages": [{"role": "system", "content": "s"}, USER, ANSWER]},
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": None, "function_call": CALL["function"]}]},
            {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]},
        ),
        (
            {"conversations": [{"from": "tool_call", "value": "not JSON"}, {"from": "tool_response", "value": "2"}]},
            {"messages": [{"role": "assistant", "content": "not JSON"}, {"role": "tool", "content": "2"}]},
        ),
        (
            {"instruction": "i", "output": "o", "history": json.dumps([["q", "a"]])},
            {"messages": [USER, ANSWER, {"role": "user", "content": "i"}, {"role": "assistant", "content": "o"}]},
        ),
        (
            {"messages": [{**USER, "content": ["q", {"type": "text", "text": "?"}]}]},
            {"messages": [{**USER, "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "?"}]}]},
        ),
    ],
)
def test_rows_come_in_the_shape_that_trainers_take(row, expected):
    assert read(row) == expected


def test_what_else_a_message_says_reaches_the_template():
    turn = {**ANSWER, "reasoning_content": "r", "name": "n", "tool_calls": None, "weight": 0}
    assert read({"messages": [USER, turn]})["messages"][1] == turn


@pytest.mark.parametrize(
    ("row", "ignored"),
    [
        ({"prompt": "p", "completion": "c", "system": "s", "tools": "[]", "history": []}, ["tools", "system"]),
        ({"messages": [USER, ANSWER], "system": "s", "weight": 2, "group": 1}, ["system", "weight"]),
        ({"question": "q", "answer": "a", "context": "c", "images": ["x"]}, ["context", "images"]),
        ({"instruction": "i", "input": "", "output": "o", "context": ""}, None),
    ],
)
def test_fields_that_say_something_and_are_not_used_are_named(row, ignored):
    assert read(row).get("ignored") == ignored


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [{**ANSWER, "weight": 0.5}]}, "the weight 0.5, and only 0 and 1"),
        ({"messages": [{**ANSWER, "tool_calls": ["f"]}]}, "'tool_calls' of a message are not a list of objects"),
        ({"messages": [{**ANSWER, "tool_calls": CALL}]}, "'tool_calls' of a message are not a list of objects"),
        ({"messages": [{"content": "q"}]}, "has no 'role'"),
        ({"messages": ["q"]}, "not an object with 'role' and 'content'"),
        ({"messages": "[1"}, "messages are not valid JSON"),
        ({"messages": [{**USER, "content": [{"type": "image"}]}]}, "a part of type 'image', and only texts"),
        ({"messages": [USER], "tools": "tools"}, "tools are not valid JSON"),
        ({"messages": [USER], "tools": {"a": 1}}, "'tools' are not a list"),
        ({"messages": [USER], "chat_template_kwargs": [1]}, "'chat_template_kwargs' are not an object"),
        ({"instruction": "i", "output": "o", "history": [["q"]]}, "'history' is not a list of pairs"),
        ({"prompt": [USER], "completion": "c"}, "'prompt' is not a text"),
    ],
)
def test_a_row_that_no_trainer_could_read_says_why(row, message):
    with pytest.raises(UnreadableSample, match=message):
        read(row)


@pytest.mark.parametrize(("first", "second"), [("prompt", "response"), ("input", "output"), ("question", "answer")])
def test_pairs_with_a_label_are_for_a_classifier(first, second, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{first},{second}\nq,a\nr,b\n")
    assert read_samples(path).modality == "causal_lm"
    path.write_text(f"{first},{second},label\nq,a,x\nr,b,y\n")
    assert read_samples(path).modality != "causal_lm"


@pytest.mark.parametrize(
    "other", [{"prompt": "p", "completion": "c"}, {"conversations": [USER]}, {"text": "t", "messages": None}]
)
def test_a_row_of_another_form_than_the_rest_says_so(other):
    with pytest.raises(UnreadableSample, match=r"those of another form \(.*\) than the file is read by \(messages\)"):
        normalise(other, "messages")
    with pytest.raises(UnreadableSample, match="messages are not a list of turns"):
        normalise({"messages": None, "id": 3}, "messages")
