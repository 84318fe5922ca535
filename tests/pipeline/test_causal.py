"""A model that sees the tokens which it is to predict is no causal model, whatever its class is called."""

import json

import numpy as np
import pytest
import torch
from tokenizers_of_language import byte_level
from transformers import BertConfig, BertLMHeadModel, LlamaConfig, LlamaForCausalLM, XLNetConfig, XLNetLMHeadModel

from oga_core.models.card import ModelCard
from oga_core.pipeline.checks import check_model
from oga_core.readers import read_samples
from oga_core.tasks import task_for

SIZES = {"vocab_size": 420, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT = {**SIZES, "intermediate_size": 24}
MODELS = {
    "Llama": (lambda: LlamaForCausalLM(LlamaConfig(**BERT)), "ok"),
    "BERT as a decoder": (lambda: BertLMHeadModel(BertConfig(**BERT, is_decoder=True)), "ok"),
    "BERT": (lambda: BertLMHeadModel(BertConfig(**BERT)), "failure"),
    "XLNet": (lambda: XLNetLMHeadModel(XLNetConfig(vocab_size=420, d_model=16, n_layer=1, n_head=2)), "failure"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_sees_what_it_predicts_is_refused(name, tmp_path):
    make, level = MODELS[name]
    torch.manual_seed(0)
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "the quick", "completion": " fox" * i}) for i in range(1, 4)))
    task = task_for(ModelCard("causal_lm", ()), byte_level(bos=True))
    checks = check_model(make().eval(), task, read_samples(path), np.arange(3))
    (causal,) = [check for check in checks if check.name == "causal"]
    assert causal.level == level
    if level == "failure":
        assert "sees the tokens that it is to predict" in causal.message
