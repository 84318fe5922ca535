"""A handful of the families of language models in `benchmarks/families.py`: taken, or refused with a reason."""

import math
import re

import pytest
from benchmarks.families import families, outcome

from oga_core.models.huggingface.config import clean_config
from oga_core.models.refusals import reason

TAKEN = ["llama", "gpt2", "gemma3_text", "opt", "t5 (seq2seq)", "marian (seq2seq)"]
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


def test_numbers_that_json_does_not_have_are_read_as_transformers_writes_them():
    config, _ = clean_config({"model_type": "mamba2", "time_step_limit": [0.0, {"__float__": "Infinity"}]})
    assert config["time_step_limit"] == [0.0, math.inf]


def test_a_reason_goes_on_after_a_colon():
    error = ValueError("Validation error for field 'a':\n    TypeError: it is a list\nand more")
    assert reason(error) == "ValueError: Validation error for field 'a': TypeError: it is a list"
    assert reason(ValueError()) == "ValueError: no reason given"
