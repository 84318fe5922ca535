"""Hugging Face folders and LoRA adapters: the same numbers as transformers and PEFT give, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from attack_files import build_quietly
from attacks_huggingface import change_json, save_tokenizer, tiny_bert, tiny_llama
from attacks_peft import adapter
from safetensors.torch import load_file, save_file

from oga_core.errors import OgaError
from oga_core.models import ModelCard, load_model

SHARED = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
TOKENS = torch.tensor([[2, 4, 3], [3, 4, 4]])


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return build_quietly(lambda: tiny_bert(tmp_path / "bert"))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return build_quietly(lambda: tiny_llama(tmp_path / "llama"))


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    """transformers and PEFT warn about their own deprecations."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def test_classifier_equals_transformers(bert: Path) -> None:
    from transformers import BertForSequenceClassification

    loaded = load_model(bert)
    reference = BertForSequenceClassification.from_pretrained(bert).eval()
    assert loaded.format == "huggingface"
    assert loaded.card == ModelCard("text", ("x", "y", "z"), {"max_length": 16})
    assert not loaded.module.training
    assert torch.equal(loaded.module(input_ids=TOKENS).logits, reference(input_ids=TOKENS).logits)


def test_language_model_equals_transformers(llama: Path) -> None:
    from transformers import LlamaForCausalLM

    loaded = load_model(llama)
    reference = LlamaForCausalLM.from_pretrained(llama, attn_implementation="eager").eval()
    assert loaded.card == ModelCard("causal_lm", (), {"max_length": 16})
    assert torch.allclose(loaded.module(input_ids=TOKENS).logits, reference(input_ids=TOKENS).logits, atol=1e-6)
    assert loaded.module(input_ids=TOKENS).past_key_values is None


def test_image_classifier_takes_its_card_from_the_preprocessor(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8,
        id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    preprocessor = {"size": {"height": 16, "width": 16}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    loaded = load_model(tmp_path)
    expected = {"image_size": [16, 16], "channels": 3, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    assert loaded.card == ModelCard("image", ("cat", "dog"), expected)
    assert loaded.tokenizer is None
    assert loaded.module(torch.zeros(2, 3, 16, 16)).logits.shape == (2, 2)


@pytest.mark.parametrize("name", ["DeiTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_networks_that_share_a_configuration_are_told_apart(name: str, tmp_path: Path) -> None:
    import transformers

    config = transformers.DeiTConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8,
        id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    reference = getattr(transformers, name)(config).eval()
    reference.save_pretrained(tmp_path)
    loaded, images = load_model(tmp_path), torch.randn(2, 3, 16, 16)
    assert type(loaded.module).__name__ == name
    assert torch.allclose(loaded.module(images).logits, reference(images).logits, atol=1e-6)


def test_half_precision_becomes_float32_with_a_note(bert: Path) -> None:
    halves = {name: tensor.half() for name, tensor in load_file(bert / "model.safetensors").items()}
    save_file(halves, bert / "model.safetensors", metadata={"format": "pt"})
    loaded = load_model(bert)
    assert {parameter.dtype for parameter in loaded.module.parameters()} == {torch.float32}
    assert loaded.notes == ("The weights were stored as float16 and are used as float32.",)


def test_a_bfloat16_base_under_an_adapter_is_used_as_float32(tmp_path: Path) -> None:
    build_quietly(lambda: adapter(tmp_path / "adapter"))
    stored = tmp_path / "adapter" / "base" / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(stored).items()}, stored, {"format": "pt"})
    loaded = load_model(tmp_path / "adapter")
    assert {parameter.dtype for parameter in loaded.module.parameters()} == {torch.float32}
    assert loaded.notes == ("The weights were stored as bfloat16 and are used as float32.",)


def test_shards_are_put_together(bert: Path) -> None:
    whole = load_model(bert).module(input_ids=TOKENS).logits
    tensors = list(load_file(bert / "model.safetensors").items())
    (bert / "model.safetensors").unlink()
    weight_map = {}
    for number, part in enumerate((tensors[:9], tensors[9:]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        save_file(dict(part), bert / name, metadata={"format": "pt"})
        weight_map |= {key: name for key, _ in part}
    (bert / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert torch.equal(load_model(bert).module(input_ids=TOKENS).logits, whole)
    (bert / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(OgaError, match=r"lacks the shard 'model-00002-of-00002\.safetensors'"):
        load_model(bert)


def test_harmless_keys_of_older_configurations_are_ignored(bert: Path) -> None:
    change_json(bert / "config.json", _attn_implementation="sdpa", _attn_implementation_autoset=True, auto_map=None)
    loaded = load_model(bert)
    assert loaded.module.config._attn_implementation == "eager"
    assert any("_attn_implementation" in note for note in loaded.notes)


def test_card_in_the_folder_and_card_of_the_person(bert: Path) -> None:
    inside = ModelCard("text", ("u", "v", "w"), {"max_length": 8})
    (bert / "oga.json").write_text(inside.to_json())
    assert load_model(bert).card == inside
    mine = ModelCard("text", ("k", "l", "m"), {"max_length": 4})
    assert load_model(bert, mine).card == mine


def test_tokenizer_is_needed(bert: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bert / name).unlink()
    with pytest.raises(OgaError, match="has no tokenizer"):
        load_model(bert)


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_other_problem_types_are_refused(problem: str, bert: Path) -> None:
    change_json(bert / "config.json", problem_type=problem)
    with pytest.raises(OgaError, match=f"problem_type '{problem}'"):
        load_model(bert)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": "many"}, {"num_attention_heads": 3}, {"hidden_act": "evil"}, {"vocab_size": -1}, {"id2label": 3}],
)
def test_wrong_values_are_an_error_in_words(changes: dict[str, Any], bert: Path) -> None:
    change_json(bert / "config.json", **changes)
    with pytest.raises(OgaError, match=r"config\.json"):
        load_model(bert)


def test_a_configuration_cannot_replace_methods(bert: Path) -> None:
    change_json(bert / "config.json", to_dict="evil", from_pretrained="evil")
    assert load_model(bert).card.classes == ("x", "y", "z")


def test_padding_falls_back_on_the_end_of_text(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(vocab_size=5, n_embd=8, n_layer=1, n_head=2, n_positions=16, num_labels=2, eos_token_id=4)
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, pad_token=None, eos_token="film")
    loaded = load_model(tmp_path)
    batch = loaded.tokenizer(["good", "good bad bad"], padding=True, return_tensors="pt")
    assert loaded.module(input_ids=batch["input_ids"]).logits.shape == (2, 2)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}")
def test_shared_sentence_model() -> None:
    loaded = load_model(SHARED / "sst2" / "model_flip20")
    assert loaded.card == ModelCard("text", ("negative", "positive"), {"max_length": 128})
    batch = loaded.tokenizer(["a gorgeous, witty film", "dull and pointless"], padding=True, return_tensors="pt")
    assert loaded.module(**batch).logits.argmax(dim=1).tolist() == [1, 0]


def test_adapter_equals_peft(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    build_quietly(lambda: adapter(tmp_path / "adapter"))
    loaded = load_model(tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter" / "base")
    reference = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert loaded.format == "peft"
    assert loaded.card.modality == "causal_lm"
    assert torch.allclose(loaded.module(input_ids=TOKENS).logits, reference(input_ids=TOKENS).logits, atol=1e-6)
    trainable = [name for name, parameter in loaded.module.named_parameters() if parameter.requires_grad]
    assert len(trainable) == 4
    assert all("lora_" in name for name in trainable)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_adapter_of_an_embedding_equals_peft(target: str, tmp_path: Path) -> None:
    """PEFT saves the weights below such an adapter with it, and they count: training may have resized them."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    build_quietly(lambda: tiny_llama(tmp_path / "adapter" / "base"))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter" / "base")
    lora = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=[target, "q_proj"], init_lora_weights=False)
    reference = get_peft_model(base, lora).eval()
    with torch.no_grad():
        base.get_parameter(f"{'model.' if target == 'embed_tokens' else ''}{target}.base_layer.weight").mul_(2)
    build_quietly(lambda: reference.save_pretrained(tmp_path / "adapter"))
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert any(name.endswith(f"{target}.base_layer.weight") for name in saved)
    loaded = load_model(tmp_path / "adapter")
    assert torch.allclose(loaded.module(input_ids=TOKENS).logits, reference(input_ids=TOKENS).logits, atol=1e-6)
    name = next(name for name in saved if name.endswith("base_layer.weight"))
    save_file({**saved, name: torch.zeros(3, 3)}, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(OgaError, match="does not fit its base model"):
        load_model(tmp_path / "adapter")


def test_base_is_found_inside_beside_or_given(tmp_path: Path) -> None:
    build_quietly(lambda: adapter(tmp_path / "adapter"))
    (tmp_path / "adapter" / "base").rename(tmp_path / "llama")
    with pytest.raises(OgaError, match=r"The base model of the adapter adapter \(base\) is not there"):
        load_model(tmp_path / "adapter")
    given = load_model(tmp_path / "adapter", base=tmp_path / "llama")
    assert given.notes == ("The adapter was trained on 'base'; the base model used is 'llama'.",)
    change_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path="org/llama")
    assert load_model(tmp_path / "adapter").notes == ()


def test_adapter_brings_the_head_that_its_base_lacks(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

    config = BertConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16,
    )  # fmt: skip
    base = tmp_path / "adapter" / "base"
    BertModel(config).save_pretrained(base)
    save_tokenizer(base)
    classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    lora = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], init_lora_weights=False)
    peft_model = get_peft_model(classifier, lora)
    peft_model.save_pretrained(tmp_path / "adapter")
    card = ModelCard("text", ("a", "b", "c"), {"max_length": 16})
    loaded = load_model(tmp_path / "adapter", card)
    expected = peft_model.eval()(input_ids=TOKENS).logits
    assert torch.allclose(loaded.module(input_ids=TOKENS).logits, expected, atol=1e-6)
    with pytest.raises(OgaError, match="neither a classifier nor a language model"):
        load_model(base)


def test_adapter_needs_a_number_for_its_rank(tmp_path: Path) -> None:
    build_quietly(lambda: adapter(tmp_path / "adapter", r="two"))
    with pytest.raises(OgaError, match=r"'r' in adapter_config\.json must be a number"):
        load_model(tmp_path / "adapter")


def test_zipped_adapter_with_its_base_inside(tmp_path: Path) -> None:
    import shutil

    build_quietly(lambda: adapter(tmp_path / "adapter"))
    archive = shutil.make_archive(str(tmp_path / "upload"), "zip", tmp_path, "adapter")
    folder, zipped = load_model(tmp_path / "adapter"), load_model(archive)
    assert zipped.card == folder.card
    assert torch.equal(zipped.module(input_ids=TOKENS).logits, folder.module(input_ids=TOKENS).logits)
