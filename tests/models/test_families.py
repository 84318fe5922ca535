"""A handful of the families of language models in `benchmarks/families.py`: taken, or refused with a reason."""

import re

import pytest
from benchmarks.families import families, outcome

TAKEN = ["llama", "gpt2", "gemma3_text", "opt", "t5 (seq2seq)", "bart (seq2seq)"]
pytestmark = pytest.mark.filterwarnings("ignore")  # families warn of their own odd sizes


@pytest.mark.parametrize("name", TAKEN)
def test_a_family_is_taken(name, tmp_path):
    state, words = outcome(name, *families()[name], tmp_path)
    assert (state, words.split(",")[0]) == ("taken", "coverage 1.00")


def test_a_family_that_is_not_taken_says_why(tmp_path):
    state, words = outcome("xlnet", *families()["xlnet"], tmp_path)
    assert state == "refused"
    assert re.search(
        r"XLNetLMHeadModel in config\.json is a masked or permuted .* fine-tune this one as a class", words
    )
