"""A handful of the families of language models in `benchmarks/families.py`: taken, or refused with a reason."""

import math
import re

import pytest
from benchmarks.families import families, outcome

from oga_core.errors import OgaError
from oga_core.models.huggingface.config import MODEL_TYPES, check_counts, clean_config
from oga_core.models.refusals import reason

TAKEN = [
    "llama",
    "gpt2",
    "gemma3_text",
    "opt",
    "dots1",
    "bert-generation",
    "t5 (seq2seq)",
    "marian (seq2seq)",
    "t5gemma (seq2seq)",
]
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


def test_every_family_that_folders_are_not_read_of_says_how_to_package_it():
    refused = {name: network for name, (_, network) in families().items() if name.split(" ")[0] not in MODEL_TYPES}
    assert len(refused) > 40
    for name, network in refused.items():
        with pytest.raises(OgaError) as error:
            clean_config({"model_type": name.split(" ")[0], "architectures": [network]})
        assert "modality='causal_lm', tokenizer=tokenizer)" in str(error.value) or "trained to guess" in str(
            error.value
        )


def test_a_model_that_hears_says_which_part_can_be_scored():
    raw = {
        "model_type": "moshi",
        "architectures": ["MoshiForCausalLM"],
        "audio_encoder_config": {"upsample_groups": 512},
    }
    with pytest.raises(
        OgaError, match=r"'moshi' also take sound .*\(audio_encoder_config .* Package the part that reads"
    ):
        clean_config(raw)


def test_a_classifier_of_an_unknown_family_is_packaged_with_its_classes():
    with pytest.raises(OgaError, match=r"Unknown model_type.*'model\.pt2', classes=\[…\]\)"):
        clean_config({"model_type": "convbert", "architectures": ["ConvBertForSequenceClassification"]})


def test_more_layers_than_weights_says_what_to_do():
    with pytest.raises(OgaError, match=r"num_layers = 500, but there are 19 tensors .* save both again"):
        check_counts({"num_layers": 500}, 19, "folder")


def test_numbers_that_json_does_not_have_are_read_as_transformers_writes_them():
    config, _ = clean_config({"model_type": "mamba2", "time_step_limit": [0.0, {"__float__": "Infinity"}]})
    assert config["time_step_limit"] == [0.0, math.inf]


def test_sizes_of_adapters_that_are_the_models_own_are_kept():
    config, _ = clean_config({"model_type": "zamba2", "adapter_rank": 4, "adapter_config": {"a": 1}, "adapters": "x"})
    assert config == {"model_type": "zamba2", "adapter_rank": 4}


def test_a_reason_goes_on_after_a_colon():
    error = ValueError("Validation error for field 'a':\n    TypeError: it is a list\nand more")
    assert reason(error) == "ValueError: Validation error for field 'a': TypeError: it is a list"
    assert reason(ValueError()) == "ValueError: no reason given"
