"""Everything that is cut, dropped or ignored is counted, and shown token by token."""

import weakref

import numpy as np
import pytest
from rows_of_language import ANSWER, SYSTEM, USER
from tokenizers_of_language import MARKED, byte_level, word_level

from oga_core.errors import UntrainedSample
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.runs.trained_input import TrainedInput
from oga_core.tasks import task_for
from oga_core.tasks.language import kept
from oga_core.tasks.language.tokens import RowTokens
from oga_core.tasks.language.view import shown_tokens, token_texts


def test_counts_add_up(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"prompt": "the", "completion": " quick fox", "system": ""}\n'
        '{"prompt": "the", "completion": " quick brown fox jumps", "system": "dog"}\n'
        '{"prompt": "the quick brown fox jumps", "completion": " over", "system": "dog"}\n'
        '{"prompt": 3, "completion": "dog", "system": null}\n'
    )
    samples = read_samples(path)
    task = task_for(ModelCard("causal_lm", (), {"max_length": 4}), word_level())
    said = []
    counts = TrainedInput(**task.survey(samples, said.append))
    assert counts == TrainedInput(
        trained_on="completion",
        max_length=4,
        rows=4,
        tokens=4 + 4 + 4,
        trained_tokens=3 + 3 + 0,
        cut_rows=2,
        cut_tokens=2 + 3,
        cut_trained_tokens=2 + 2,
        untrained_rows=1,
        unreadable_rows=1,
        remarks={"system": 2},
    )
    assert said[0] == {"stage": "read rows", "done": 0, "total": 4}
    seen = task.batch(samples, np.array([0, 1]))
    assert int(seen["attention_mask"].sum()) == 8
    assert int((seen["labels"][:, 1:] != -100).sum()) == counts.trained_tokens
    with pytest.raises(UntrainedSample, match="none of its first 4 tokens is trained on"):
        task.batch(samples, np.array([2]))


def test_sentences_name_each_thing_that_is_not_as_in_the_data():
    counts = TrainedInput("last", 16, 10, 150, 40, 3, 30, 20, 1, 2, {"tools": 4})
    assert counts.sentences() == [
        "Trained on the assistant's last turn: 40 of 150 tokens.",
        "3 of 10 rows are longer than 16 tokens and are cut: 30 tokens, 20 of them trained on.",
        "1 row(s) are left out: none of the tokens seen is trained on.",
        "2 row(s) cannot be written as tokens.",
        "In 4 row(s), not used as it is: tools.",
    ]
    assert len(TrainedInput(tokens=5, trained_tokens=5).sentences()) == 1


@pytest.mark.parametrize("text", ["the quick fox", "Grüße, 世界 👩‍👩‍👧 end", "  two  spaces\n\nand lines", ""])
@pytest.mark.parametrize("make", [byte_level, word_level])
def test_texts_of_tokens_join_to_the_text(make, text):
    tokenizer = make(bos=True)
    ids = tokenizer(text)["input_ids"]
    texts = token_texts(tokenizer, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == tokenizer.decode(ids)


def test_shown_tokens_say_what_becomes_of_each():
    tokenizer = word_level(MARKED, bos=True)
    ids = tokenizer("the fox jumps")["input_ids"]
    shown = shown_tokens(tokenizer, RowTokens(ids, [True] * 4), 3)
    assert [token["text"].strip() for token in shown] == ["<s>", "the", "fox", "jumps"]
    assert [token["special"] for token in shown] == [True, False, False, False]
    assert [token["trained"] for token in shown] == [False, True, True, False]
    assert [token["cut"] for token in shown] == [False, False, False, True]


@pytest.mark.parametrize(("fixed", "expected"), [(False, [12, 9, 2]), (True, [12, 12, 12])])
def test_rows_are_as_long_as_the_tokens_that_the_model_sees(fixed, expected):
    card = ModelCard("causal_lm", (), {"max_length": 12, "fixed_length": fixed})
    task = task_for(card, word_level(MARKED))
    parts = {"role": "user", "content": [{"type": "text", "text": "abc"}]}
    rows = Rows([{"messages": [USER, ANSWER]}, {"prompt": [parts], "completion": [SYSTEM]}, {"text": "ab"}])
    assert [task.length(rows, row) for row in range(3)] == expected


def test_tokens_of_a_row_are_made_once_while_there_is_room(monkeypatch):
    read = []

    def reader(row):
        read.append(row["text"])
        return RowTokens([7, 8], [False, True], "all", {"tools": 1})

    monkeypatch.setattr(kept, "LARGEST_KEPT", 2 + kept.ROW)
    tokens = kept.KeptTokens(reader)
    rows = Rows([{"text": "a"}, {"text": "b"}])
    assert [tokens(rows, row) for row in (0, 0, 1, 1)] == [RowTokens([7, 8], [False, True], "all", {"tools": 1})] * 4
    assert read == ["a", "b", "b"]
    other = Rows([{"text": "c"}])
    tokens(other, 0)
    tokens(other, 0)
    assert read == ["a", "b", "b", "c"]
    gone = weakref.ref(other)
    del other
    assert gone() is None


class Rows:
    """As much of a data set as tokens are made of."""

    def __init__(self, inputs):
        self.inputs = inputs
