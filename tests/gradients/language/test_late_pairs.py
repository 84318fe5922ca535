"""Heads that are followed by a factor or a bias, those of encoder-decoder models, and of preference pairs."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from test_language import ROWS, samples_of, word_tokenizer
from test_late_head import ATTENTION, VOCABULARY, Largest, llama

from oga_core.gradients import forward as forwards
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.tasks import cross_entropy, task_for
from oga_core.tasks.preference import PreferenceTask

SIZES = {"vocab_size": 50, "max_position_embeddings": 32}
DEPTHS = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
HALVES = {f"{half}_{name}": 2 for half in ("encoder", "decoder") for name in ("layers", "attention_heads")}
PAIRS = [{"prompt": row["prompt"], "chosen": row["completion"], "rejected": "h a h"} for row in ROWS]


def granite():
    config = transformers.GraniteConfig(**SIZES, **DEPTHS, logits_scaling=3.0)
    return transformers.GraniteForCausalLM(config), {}


def cohere():
    return transformers.CohereForCausalLM(transformers.CohereConfig(**SIZES, **DEPTHS, logit_scale=0.5)), {}


def bart():
    widths = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    config = transformers.BartConfig(**SIZES, **HALVES, **widths, decoder_start_token_id=1)
    model = transformers.BartForConditionalGeneration(config)
    model.final_logits_bias.normal_()
    return model, {"encoder_decoder": True}


@pytest.mark.parametrize("family", [granite, cohere, bart])
def test_a_factor_and_a_bias_after_the_head_are_counted(family):
    torch.manual_seed(0)
    model, options = family()
    task = task_for(ModelCard("causal_lm", (), options), word_tokenizer())
    model = model.eval().requires_grad_(False)
    weight = next(p for name, p in model.named_parameters() if "q_proj" in name and p.ndim == 2).requires_grad_()
    batch = task.batch(samples_of(ROWS), np.arange(len(ROWS)))
    assert forwards.suits_late_head(task, model, (), batch)
    gradients = {}
    for late in (False, True):
        losses = task.losses(forwards.outputs_of(task, model, batch, late_head=late), batch)
        gradients[late] = (losses, *torch.autograd.grad(losses.sum(), weight))
    assert gradients[False][1].norm() > 0
    torch.testing.assert_close(gradients[True], gradients[False])


@pytest.fixture
def pairs():
    """Pairs, their task with a model before the training, and the model after it."""
    torch.manual_seed(0)
    before = llama().requires_grad_(False)
    after = copy.deepcopy(before)
    for parameter in after.model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return PreferenceTask(word_tokenizer(), 32, 0.5, before), after


def test_pairs_have_the_same_gradients_without_their_logits(pairs, tmp_path, monkeypatch):
    task, model = pairs
    samples = replace(samples_of(PAIRS), modality="preference")

    def passed(name):
        options = PassOptions(ATTENTION, batch_size=3, sketch_dim=64)
        return gradient_pass(task, model, samples, folder=tmp_path / name, options=options)

    with monkeypatch.context() as whole:
        whole.setattr(forwards, "output_layer", lambda model: None)
        expected = passed("whole").sketch
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 2 * VOCABULARY)
    result = passed("late")
    assert not result.notes
    assert expected.losses.std() > 0
    np.testing.assert_allclose(result.sketch.losses, expected.losses, rtol=1e-5)
    np.testing.assert_allclose(result.sketch.sketch, expected.sketch, rtol=2e-3, atol=1e-5)


def test_logits_of_pairs_are_held_neither_of_the_model_nor_of_its_reference(pairs, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 2 * VOCABULARY)
    task, model = pairs
    batch = task.batch(samples_of(PAIRS), np.arange(len(PAIRS)))
    assert forwards.suits_late_head(task, model, (), batch)
    assert not forwards.suits_late_head(task, model, [model.lm_head.weight], batch)
    largest = {}
    for late in (False, True):
        with Largest() as seen:
            forwards.outputs_of(task, model, batch, late_head=late)
        largest[late] = seen.numbers
    assert largest[False] >= batch["labels"].numel() * VOCABULARY
    assert largest[True] <= model.lm_head.weight.numel()


def test_a_reference_of_another_kind_is_multiplied_out_whole(pairs):
    """It may do something else with its logits, here a cap, than the model that was tried."""
    task, model = pairs
    sizes = {**DEPTHS, "num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 0.5}
    torch.manual_seed(1)
    capped = transformers.Gemma2ForCausalLM(
        transformers.Gemma2Config(vocab_size=VOCABULARY, max_position_embeddings=32, **sizes)
    )
    task = replace(task, reference=capped.eval().requires_grad_(False))
    batch = task.batch(samples_of(PAIRS), np.arange(len(PAIRS)))
    margins = {late: forwards.outputs_of(task, model, batch, late_head=late) for late in (False, True)}
    torch.testing.assert_close(margins[True], margins[False], rtol=1e-4, atol=1e-5)
