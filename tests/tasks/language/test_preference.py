"""Preference pairs: TRL's tokens, TRL's loss, and the gradients of both by the engine."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from pairs import FORMS
from peft import LoraConfig, get_peft_model
from tokenizers_of_language import UNMARKED, byte_level
from transformers import LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer

from oga_core.errors import OgaError, UntrainedSample
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.readers.answers.preferences import preference
from oga_core.samples import SampleSet
from oga_core.tasks.preference import PreferenceTask, without_adapter

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about what TRL calls in it

BETA = 0.3
TRL_FORMS = [name for name in FORMS if name != "openai"]


def tokenizer():
    return byte_level(UNMARKED, bos=True)


def base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer()), **size))


def lora() -> LoraConfig:
    return LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")


def trained(model: torch.nn.Module) -> torch.nn.Module:
    """The adapter as after a training: its weights are not zero."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter.data, std=0.3)
    return model.eval()


def task() -> PreferenceTask:
    return PreferenceTask(tokenizer(), 64, BETA)


def samples_of(rows: list[dict]) -> SampleSet:
    return SimpleNamespace(inputs=[preference(row) for row in rows])  # type: ignore[return-value]


def trl_trainer(rows: list[dict], folder: Path) -> DPOTrainer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = DPOConfig(str(folder), beta=BETA, max_length=64, use_cpu=True, bf16=False, report_to="none")
        return DPOTrainer(
            base(),
            args=config,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=tokenizer(),
            peft_config=lora(),
        )


@pytest.mark.parametrize("form", TRL_FORMS)
def test_tokens_and_losses_are_trls(form: str, tmp_path: Path) -> None:
    rows = FORMS[form]
    trainer = trl_trainer(rows, tmp_path)
    batch = task().batch(samples_of(rows), np.arange(len(rows)))
    for i, expected in enumerate(trainer.train_dataset):
        for side, name in enumerate(("chosen", "rejected")):
            kept = batch["attention_mask"][i, side].bool()
            assert batch["input_ids"][i, side][kept].tolist() == expected["prompt_ids"] + expected[f"{name}_ids"]
            labels = batch["labels"][i, side][kept]
            assert labels[labels >= 0].tolist() == expected[f"{name}_ids"]

    model = trained(trainer.model)
    with torch.no_grad():
        losses = task().losses(task().outputs(model, batch), batch)
    for i, row in enumerate(trainer.train_dataset):
        inputs = trainer.data_collator([row])
        with torch.no_grad():
            assert losses[i].item() == pytest.approx(trainer.compute_loss(model, inputs).item(), rel=1e-5)
    assert losses.std() > 0.005


def test_openais_form_is_the_conversational_one() -> None:
    for row, expected in zip(FORMS["openai"], FORMS["turns"], strict=True):
        assert preference(row) == preference(expected)
        assert preference({name: json.dumps(part) for name, part in expected.items()}) == preference(expected)


def test_the_engines_gradients_are_autograds(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, FORMS["turns"])))
    samples = read_samples(data)
    model = trained(get_peft_model(base(), lora()))
    options = PassOptions(parameters="lora", sketch_dim=4096, batch_size=4)
    result = gradient_pass(task(), model, samples, folder=tmp_path / "arrays", options=options)
    parameters = [p for name, p in model.named_parameters() if "lora_" in name]
    for row in range(len(samples)):
        batch = task().batch(samples, np.array([row]))
        loss = task().losses(task().outputs(model, batch), batch).sum()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])
        assert result.sketch.losses[row] == pytest.approx(loss.item(), rel=1e-5)
        assert result.sketch.l2_norm_all[row] == pytest.approx(gradient.norm().item(), rel=1e-4)
    assert result.sketch.check_error < 1e-4
    assert result.notes == (), "the fast method took all of them"


def test_the_adapter_is_switched_off_and_on_again_and_nothing_else() -> None:
    model = trained(get_peft_model(base(), lora()))
    ids = torch.arange(8)[None]
    adapted = model(ids).logits
    required = [p.requires_grad for p in model.parameters()]
    with without_adapter(model):
        assert torch.equal(model(ids).logits, base().eval()(ids).logits)
        assert [p.requires_grad for p in model.parameters()] == required
    assert torch.equal(model(ids).logits, adapted)


def test_a_model_without_an_adapter_has_no_reference() -> None:
    batch = task().batch(samples_of(FORMS["texts"]), np.arange(2))
    with pytest.raises(OgaError, match="no adapter that could be switched off"):
        task().outputs(base(), batch)


def test_an_answer_that_is_cut_away_whole_is_not_trained_on() -> None:
    short = PreferenceTask(tokenizer(), 4)
    with pytest.raises(UntrainedSample, match="one of its answers"):
        short.batch(samples_of(FORMS["texts"]), np.arange(1))


@pytest.mark.parametrize(
    ("card", "words"), [({"beta": 0}, "'beta'"), ({"beta": "x"}, "'beta'"), ({"max_length": 1}, "max")]
)
def test_a_card_that_cannot_be_meant_is_refused(card: dict, words: str) -> None:
    with pytest.raises(OgaError, match=words):
        PreferenceTask.from_card(ModelCard("preference", (), card), tokenizer())
    assert PreferenceTask.from_card(ModelCard("preference", (), {"beta": 0.5}), tokenizer()).beta == 0.5


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": "a", "rejected": "a"},
        {"chosen": "a", "rejected": None},
        {"chosen": "a", "rejected": [{"role": "user", "content": "x"}]},
        {"input": {}, "preferred_output": [], "non_preferred_output": []},
    ],
)
def test_a_row_that_is_no_pair_says_so(row: dict) -> None:
    from oga_core.samples import UnreadableSample

    with pytest.raises(UnreadableSample):
        preference(row)
