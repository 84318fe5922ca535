"""Encoder-decoder models: inputs, labels and losses as transformers' own preparation, collator and models have them."""

import json
import shutil

import numpy as np
import pytest
import torch
from tokenizers_of_language import byte_level
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    DataCollatorForSeq2Seq,
    T5Config,
    T5ForConditionalGeneration,
)

from oga_core.errors import OgaError
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.pipeline.checks import check_model
from oga_core.readers import read_samples
from oga_core.runs.trained_input import TrainedInput
from oga_core.tasks.prepare import prepare
from oga_core.tasks.seq2seq import Seq2SeqTask

ROWS = [
    {"instruction": "the quick", "input": "fox ?", "output": "over the dog"},
    {"instruction": "jumps", "input": "", "output": "the lazy dog . the quick brown fox"},
    {"instruction": "the quick brown fox jumps over", "input": "", "output": "dog"},
]
T5 = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
SIZES = {"d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "encoder_layers": 1, "decoder_layers": 1}
BART = {**SIZES, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}
TOKENS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


@pytest.fixture(scope="module", params=["t5", "bart"])
def folder(request, tmp_path_factory):
    """A model with random weights and a tokenizer that ends every text, as T5's does."""
    torch.manual_seed(0)
    tokenizer = byte_level(eos=True)
    sizes = {"vocab_size": len(tokenizer), **TOKENS, "dropout_rate" if request.param == "t5" else "dropout": 0.0}
    if request.param == "t5":
        model = T5ForConditionalGeneration(T5Config(**T5, **sizes))
    else:
        model = BartForConditionalGeneration(BartConfig(**BART, **sizes, decoder_start_token_id=3))
    path = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_losses_are_the_models_own(folder, data):
    loaded = load_model(folder)
    samples, task = prepare(read_samples(data), loaded)
    assert isinstance(task, Seq2SeqTask)
    batch = task.batch(samples, np.arange(3))
    features = []
    for row in ROWS:
        prompt = "\n\n".join(filter(None, (row["instruction"], row["input"])))
        features.append({**task.tokenizer(prompt), "labels": task.tokenizer(text_target=row["output"])["input_ids"]})
    theirs = DataCollatorForSeq2Seq(task.tokenizer, model=loaded.module)(features)
    assert torch.equal(batch["prompt_ids"], theirs["input_ids"])
    assert torch.equal(batch["prompt_mask"], theirs["attention_mask"])
    assert torch.equal(batch["labels"][:, 1:], theirs["labels"])
    losses = task.losses(task.outputs(loaded.module, batch), batch)
    for i, feature in enumerate(features):
        alone = DataCollatorForSeq2Seq(task.tokenizer, model=loaded.module)([feature])
        torch.testing.assert_close(losses[i], loaded.module(**alone).loss, rtol=1e-4, atol=1e-5)
    assert all(check.level == "ok" for check in check_model(loaded.module, task, samples, np.arange(3)))


def test_gradients_are_taken_of_every_parameter(folder, data, tmp_path):
    loaded = load_model(folder)
    samples, task = prepare(read_samples(data), loaded)
    options = PassOptions("all", device="cpu", batch_size=2, without_prompt=True)
    sketch = gradient_pass(task, loaded.module, samples, folder=tmp_path / "arrays", options=options).sketch
    assert sketch.coverage == 1.0
    assert sketch.check_error < 1e-4
    assert np.isfinite(sketch.losses).all()
    expected = [len(task.tokenizer(text_target=row["output"])["input_ids"]) for row in ROWS]
    assert sketch.response_lengths.tolist() == expected
    # "dog" stands in no prompt, "the" and "quick" in the first
    assert sketch.new_token_shares[2] == 1.0 - 1 / expected[2]


def test_without_its_prompt_the_encoder_reads_the_end_of_a_text_only(folder, data):
    samples, task = prepare(read_samples(data), load_model(folder))
    batch = task.batch(samples, np.arange(3))
    shorter = task.without_prompt(batch)
    assert shorter["prompt_ids"].tolist() == [[3]] * 3
    assert torch.equal(shorter["labels"], batch["labels"])


def test_what_is_cut_is_counted(data):
    task = Seq2SeqTask.from_card(ModelCard("causal_lm", (), {"max_length": 4}), byte_level(eos=True))
    samples = read_samples(data)
    counts = TrainedInput(**task.survey(samples, lambda event: None))
    batch = task.batch(samples, np.arange(3))
    assert batch["prompt_ids"].shape[1] == 4
    assert int((batch["labels"] >= 0).sum()) == counts.trained_tokens
    assert counts.max_length == 4
    assert counts.remarks["a prompt of more than 4 tokens, which is cut"] == 2
    assert batch["labels"][1, 4] == 3  # the end token stays


def test_texts_and_conversations_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "the fox"}')
    task = Seq2SeqTask.from_card(ModelCard("causal_lm", ()), byte_level(eos=True))
    with pytest.raises(OgaError, match="Give rows with 'prompt' and 'completion'"):
        task.batch(read_samples(path), np.arange(1))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by an old name
def test_an_adapter_on_an_encoder_decoder_base_is_taken(folder, data, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSeq2SeqLM

    shutil.copytree(folder, tmp_path / "adapter" / "base")
    base = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "adapter" / "base")
    names = ["q", "v"] if "t5" in folder.name else ["q_proj", "v_proj"]
    config = LoraConfig(task_type="SEQ_2_SEQ_LM", r=2, target_modules=names, init_lora_weights=False)
    adapted = get_peft_model(base, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = load_model(tmp_path / "adapter")
    samples, task = prepare(read_samples(data), loaded)
    batch = task.batch(samples, np.arange(3))
    torch.testing.assert_close(task.outputs(loaded.module, batch), task.outputs(adapted, batch))
    options = PassOptions("all", device="cpu", batch_size=3)
    sketch = gradient_pass(task, loaded.module, samples, folder=tmp_path / "arrays", options=options).sketch
    assert sketch.coverage == 1.0
    assert sketch.check_error < 1e-4
