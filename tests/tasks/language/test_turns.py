"""Which words are the assistant's, under every chat template that TRL ships, and under ones that play tricks."""

import importlib.util
import re
from pathlib import Path

import pytest
from rows_of_language import AGAIN, ANSWER, CALL, MORE, RESULT, SYSTEM, TOOL, USER
from tokenizers_of_language import MARKED, UNMARKED, byte_level, word_level

from oga_core.errors import OgaError
from oga_core.samples import UnreadableSample
from oga_core.tasks.language.tokens import RowReader

_MARKS = re.compile(r"<[|｜][^|｜<>]{1,30}[|｜]>|<(?:start|end)_of_\w+>|<turn\|>|<\|turn>")
# These two write pictures and parts only: with texts they drop every word, or refuse the row.
TEMPLATES = [
    path
    for path in sorted(Path(importlib.util.find_spec("trl").origin).parent.glob("chat_templates/*.jinja"))
    if not path.stem.endswith("_training") and path.stem not in ("idefics3", "smolvlm", "llava_next")
]
# What TRL's own variants add to the assistant's words: who speaks, an opening thought, the next speaker's mark.
_ADDED = re.compile(r"^(<｜Assistant｜>|<\|start\|>assistant|</?think>|\n)+|(<\|user\|>|<\|observation\|>)$")


def template_tokenizer(template: str):
    tokenizer = byte_level(template)
    tokenizer.add_special_tokens({"additional_special_tokens": sorted(set(_MARKS.findall(template)))})
    return tokenizer


def runs(tokenizer, ids, trained) -> list[str]:
    """The text of each run of trained tokens."""
    parts: list[list[int]] = [[]]
    for token, counts in zip(ids, trained, strict=True):
        parts[-1].append(token) if counts else parts.append([])
    return [tokenizer.decode(part) for part in parts if part]


def trained(tokenizer, row, trained_on=None) -> list[str]:
    tokens = RowReader(tokenizer, trained_on)(row)
    return runs(tokenizer, tokens.ids, tokens.trained)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
@pytest.mark.parametrize("messages", [[USER, ANSWER, AGAIN, MORE], [USER, ANSWER, AGAIN]], ids=["answered", "asked"])
def test_the_assistants_words_are_found_in_templates_that_do_not_mark_them(template, messages):
    tokenizer = template_tokenizer(template.read_text())
    found = trained(tokenizer, {"messages": messages})
    spoken = [message["content"] for message in messages if message["role"] == "assistant"]
    assert len(found) == len(spoken)
    for text, words in zip(found, spoken, strict=True):
        assert words in text
        assert not any(message["content"] in text for message in messages if message["role"] == "user")
    of_trl = template.with_name(f"{template.stem}_training.jinja")
    if of_trl.exists():
        options = {"chat_template": of_trl.read_text(), "return_dict": True, "return_assistant_tokens_mask": True}
        marked = tokenizer.apply_chat_template(messages, **options)
        expected = runs(tokenizer, marked["input_ids"], marked["assistant_masks"])
        assert [_ADDED.sub("", text) for text in found] == [_ADDED.sub("", text) for text in expected]


def test_a_call_whose_thoughts_are_dropped_later_is_found():
    template = next(path for path in TEMPLATES if path.stem == "qwen3").read_text()
    row = {"messages": [USER, CALL, RESULT, ANSWER], "tools": [TOOL]}
    call, answer = trained(template_tokenizer(template), row)
    assert "fox" in call
    assert ANSWER["content"] not in call
    assert answer.endswith("the lazy dog .<|im_end|>\n")


@pytest.mark.parametrize("template", [MARKED, UNMARKED], ids=["marked", "unmarked"])
@pytest.mark.parametrize(
    ("trained_on", "weights", "expected"),
    [
        (None, (1, 1), [ANSWER, MORE]),
        ("assistant", (0, 1), [MORE]),
        ("assistant", (1, 0), [ANSWER]),
        ("last", (1, 1), [MORE]),
        ("last", (0, 1), [MORE]),
    ],
)
def test_turns_of_weight_0_are_not_trained_on(template, trained_on, weights, expected):
    first, second = ({**turn, "weight": weight} for turn, weight in zip((ANSWER, MORE), weights, strict=True))
    tokenizer = byte_level(template)
    row = {"messages": [USER, first, AGAIN, second, USER]}
    assert trained(tokenizer, row, trained_on) == [f"{turn['content']}<|im_end|>\n" for turn in expected]
    remarks = RowReader(tokenizer, trained_on)(row).remarks
    assert remarks.get("turns of weight 0", 0) == weights.count(0)


def test_a_conversation_without_an_answer_trains_on_nothing():
    assert trained(byte_level(UNMARKED), {"messages": [SYSTEM, USER]}) == []
    assert trained(byte_level(MARKED), {"messages": [SYSTEM, USER]}) == []


def test_a_conversation_that_the_assistant_opens_begins_with_its_words():
    found = trained(byte_level(UNMARKED), {"messages": [ANSWER, USER, MORE]})
    assert found == ["the lazy dog .<|im_end|>\n", "fox jumps 1 2 3<|im_end|>\n"]


def test_assistant_turns_of_a_prompt_count_only_where_asked_for():
    row = {"prompt": [USER, ANSWER, AGAIN], "completion": [MORE]}
    tokenizer = byte_level(UNMARKED)
    both = [f"{turn['content']}<|im_end|>\n" for turn in (ANSWER, MORE)]
    assert trained(tokenizer, row) == trained(tokenizer, row, "last") == both[1:]
    assert trained(tokenizer, row, "assistant") == both


PLAIN = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
SHOUTS = "{% for m in messages %}{{ m.role + ': ' + (m.content | upper if loop.last else m.content) }}{% endfor %}"


def test_turns_are_found_where_the_text_before_them_depends_on_what_follows():
    found = trained(byte_level("{{ messages | length }}" + PLAIN), {"messages": [USER, ANSWER, AGAIN, MORE]})
    assert found == [f"assistant: {turn['content']}\n" for turn in (ANSWER, MORE)]


def test_words_that_cannot_be_told_from_the_users_are_refused():
    row = {"messages": [USER, ANSWER, AGAIN, MORE]}
    with pytest.raises(UnreadableSample, match=r"cannot be told from the others.*\{% generation %\}"):
        trained(byte_level(SHOUTS), row)
    assert trained(byte_level(SHOUTS), row, "all")


def test_words_that_a_template_leaves_out_are_counted():
    template = PLAIN.replace("{{", "{% if m.role != 'system' %}{{").replace("}}", "}}{% endif %}")
    tokens = RowReader(byte_level(template))({"messages": [SYSTEM, USER, ANSWER], "tools": [TOOL]})
    assert tokens.remarks == {"words that the chat template leaves out or changes": 1, "tools": 1}


def test_parts_are_joined_for_a_template_that_takes_texts():
    parts = [{"type": "text", "text": "the quick "}, {"type": "text", "text": "fox ?"}]
    printed = PLAIN.replace("+", "~")
    for template in (PLAIN, printed):
        reader = RowReader(byte_level(template))
        tokens = reader({"messages": [{"role": "user", "content": parts}, ANSWER]})
        assert reader.tokenizer.decode(tokens.ids).startswith("user: the quick fox ?\n")
        assert tokens.remarks == {"parts of a message, joined into one text": 1}


@pytest.mark.parametrize(
    ("row", "trained_on", "message"),
    [
        ({"text": "the fox"}, "last", "'last', but the rows are texts.*Choose all"),
        ({"messages": [USER, ANSWER]}, "completion", "'completion', but the rows are conversations.*assistant, last"),
    ],
)
def test_what_the_rows_do_not_have_cannot_be_trained_on(row, trained_on, message):
    with pytest.raises(OgaError, match=message):
        RowReader(word_level(MARKED), trained_on)(row)


def test_conversations_need_a_chat_template():
    with pytest.raises(OgaError, match=r"no chat template.*tokenizer\.chat_template = "):
        RowReader(word_level())({"messages": [USER, ANSWER]})


def test_an_unknown_choice_is_named():
    with pytest.raises(OgaError, match=r"'everything'\. Choose one of: assistant, last, completion, all"):
        RowReader(word_level(), "everything")
