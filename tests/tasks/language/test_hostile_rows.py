"""Rows for language models that ask for what no row may: a program, memory without end, messages without end."""

import json

import pytest
from rows_of_language import USER
from tokenizers_of_language import MARKED, word_level

from oga_core.readers import read_samples
from oga_core.samples import UnreadableSample
from oga_core.tasks.language.templates import ChatTemplate

LONG = "x" * 1_000_000
ANSWER = {"role": "assistant", "content": "b"}
FORBIDDEN = {
    "a template": {"chat_template": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"},
    "padding": {"padding": "max_length", "max_length": 10**9},
    "tensors": {"return_tensors": "pt"},
    "no dictionary": {"return_dict": False},
    "other messages": {"conversation": [{"role": "user", "content": "other"}]},
    "arguments of the tokenizer": {"tokenizer_kwargs": {"truncation": True}},
    "another end": {"continue_final_message": True},
}
QUOTED = {
    "a role": {"role": LONG},
    "a part": {"content": [{"type": LONG}]},
    "a weight": {"weight": LONG},
}


@pytest.mark.parametrize("options", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_row_sets_variables_of_the_template_and_nothing_else(options):
    template = ChatTemplate(word_level(MARKED))
    assert template.tokens([USER, ANSWER], {"anything": 1})["input_ids"]
    with pytest.raises(UnreadableSample, match="which is no variable of a template"):
        template.tokens([USER, ANSWER], options)


@pytest.mark.parametrize("change", QUOTED.values(), ids=QUOTED)
def test_what_is_said_of_a_row_is_short_whatever_the_row_holds(change, tmp_path):
    row = {"messages": [{"role": "user", "content": "a"}, {**ANSWER, **change}]}
    (tmp_path / "a.jsonl").write_text("\n".join([json.dumps(row)] * 2))
    with pytest.raises(UnreadableSample) as told:
        read_samples(tmp_path / "a.jsonl").inputs[0]
    assert len(str(told.value)) <= 500
    assert str(told.value).endswith("…")
