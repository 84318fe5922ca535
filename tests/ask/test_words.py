import numpy as np
import pytest

from oga_core.ask.rows import query_samples, row_like, text_of
from oga_core.ask.words import WordIndex, shared_words
from oga_core.errors import OgaError

TEXTS = ["red red blue", "blue green", "one", ""]


def test_bm25_is_its_formula():
    index = WordIndex(TEXTS)
    lengths = np.array([3, 2, 1, 0])
    norm = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    red = np.log1p(3.5 / 1.5) * np.array([2, 0, 0, 0]) * 2.2 / (np.array([2, 0, 0, 0]) + norm)
    blue = np.log1p(2.5 / 2.5) * np.array([1, 1, 0, 0]) * 2.2 / (np.array([1, 1, 0, 0]) + norm)
    np.testing.assert_allclose(index.bm25("RED, blue unknown"), red + blue, rtol=1e-6)
    assert not index.bm25("unknown").any()


def test_texts_without_words_are_alike_in_nothing():
    assert WordIndex(["", "--"]).bm25("red").tolist() == [0, 0]
    assert shared_words("", "") == 0


def test_shared_words():
    assert shared_words("Red, blue", "blue red!") == 1
    assert shared_words("red blue", "blue green") == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "completion": "b"},
        {"Instruction": "a", "output": "b", "input": ""},
        {"question": "a", "answer": "b"},
        {"input": "a", "output": "b"},
        {"prompt": "a", "response": "b"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"text": "a b"},
    ],
)
def test_a_question_takes_the_form_of_the_runs_rows(row):
    samples = query_samples([row_like(row, "what is it", "a thing")])
    assert len(samples) == 1
    assert text_of(samples.inputs[0]) == "what is it a thing"


def test_rows_that_cannot_be_read_are_refused():
    with pytest.raises(OgaError, match="cannot be read"):
        query_samples([{"prompt": "a", "completion": 3}])
