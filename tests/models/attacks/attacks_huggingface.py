"""Attacks in Hugging Face folders, and the honest tiny models that they start from."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attack_files import ATTACKS, Attack, Payload, add_bomb, attack
from tokenizers import Tokenizer, models, pre_tokenizers


def save_tokenizer(folder: Path, **settings: Any) -> None:
    """A word tokenizer of four words."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    known = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**known, "model_max_length": 16, **settings}))


def tiny_bert(folder: Path, **changes: Any) -> Path:
    """Save a BERT classifier of three classes; `changes` go into its config.json afterwards."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, id2label={0: "x", 1: "y", 2: "z"}, label2id={"x": 0, "y": 1, "z": 2},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    save_tokenizer(folder)
    change_json(folder / "config.json", **changes)
    return folder


def tiny_llama(folder: Path) -> Path:
    """Save a causal language model."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=16, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _module_source(folder: Path, marker: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")


@attack("needs code of its own")
def hf_auto_map(folder: Path, marker: Path) -> Path:
    _module_source(folder, marker)
    return tiny_bert(folder, auto_map={"AutoModelForSequenceClassification": "evil.Evil", "AutoConfig": "evil.Evil"})


@attack(None)
def hf_tokenizer_auto_map(folder: Path, marker: Path) -> Path:
    _module_source(folder, marker)
    tiny_bert(folder)
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    return folder


@attack("weights in the pickle format")
def hf_bin(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"extra": Payload(marker)}, folder / "pytorch_model.bin")
    return folder


@attack("asks for the code 'org/kernel'")
def hf_kernel_private(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, _attn_implementation="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_public(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, attn_implementation="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_internal(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, _attn_implementation_internal="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_nested(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, text_config={"_attn_implementation": "org/kernel"})


@attack("asks for the code 'org/kernel'")
def hf_kernel_experts(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, experts_implementation="org/kernel")


@attack("needs code of its own")
def hf_fusion(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, fusion_config={"patch": "evil.Evil"})


@attack("needs code of its own")
def hf_other_weights(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, transformers_weights="../outside.safetensors")


def _quantization(method: str) -> Callable[[Path, Path], Path]:
    return lambda folder, marker: tiny_bert(folder, quantization_config={"quant_method": method, "bits": 4})


for _method in ("bitsandbytes", "gptq", "awq", "fp8", "unheard_of"):
    ATTACKS[f"hf_quantization_{_method}"] = Attack(_quantization(_method), "is quantised")


@attack("holds a model and an adapter_config.json")
def hf_adapter_in_folder(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/evil", "peft_type": "LORA"}')
    return folder


@attack("outside the model's folder")
def hf_index_outside(folder: Path, marker: Path) -> Path:
    inside = tiny_bert(folder / "inside")
    (inside / "model.safetensors").rename(folder / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.weight": "../outside.safetensors"}}
    (inside / "model.safetensors.index.json").write_text(json.dumps(index))
    return inside


@attack("parameters, but the weights hold|asks for|cannot build")
def hf_huge_config(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, hidden_size=2**20, intermediate_size=2**22)


@attack("asks for num_hidden_layers")
def hf_many_layers(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, num_hidden_layers=10**9)


@attack("asks for num_labels")
def hf_many_labels(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, num_labels=2**31)


@attack("asks for depths")
def hf_many_blocks(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, vision_config={"depths": [1, 10**9]})


@attack("parameters, but the weights hold|cannot build")
def hf_many_positions(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, max_position_embeddings=10**12)


@attack("lacks 2 tensor.*classifier")
def hf_headless(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    tiny_bert(folder)
    body = {
        name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "classifier" not in name
    }
    save_file(body, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@attack("neither a classifier nor a language model")
def hf_encoder(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, architectures=["BertModel"])


@attack("BertForMaskedLM in config.json is a masked or permuted language model.*AutoModelForSequenceClassification")
def hf_masked(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, architectures=["BertForMaskedLM"])


@attack("LongformerForMaskedLM in config.json is a masked or permuted language model")
def hf_masked_family(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, architectures=["LongformerForMaskedLM"], model_type="longformer")


@attack("does not describe")
def hf_leftover_tensors(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    tiny_bert(folder)
    more = {**load_file(folder / "model.safetensors"), "bert.extra.weight": torch.zeros(2)}
    save_file(more, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@attack("Unknown model_type")
def hf_unknown_type(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, model_type="lightglue", trust_remote_code=True)


@attack("not valid JSON")
def hf_nested_json(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "config.json").write_text('{"model_type":' * 100_000)
    return folder


@attack("tokenizer in .* cannot be loaded")
def hf_broken_tokenizer(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "tokenizer.json").write_text('{"model": 3}')
    return folder


@attack(None)
def hf_chat_template_loop(folder: Path, marker: Path) -> Path:
    """Loads; whoever applies the template hangs, which the worker's limit on silence ends."""
    tiny_llama(folder)
    loop = (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}"
        + "{% endfor %}" * 2
    )
    change_json(folder / "tokenizer_config.json", chat_template=loop)
    return folder


@attack("points outside the archive")
def hf_zip_traversal(folder: Path, marker: Path) -> Path:
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("../" * 12 + str(marker).lstrip("/"), "")
    return folder / "model.zip"


@attack("unpack to")
def hf_zip_bomb(folder: Path, marker: Path) -> Path:
    with zipfile.ZipFile(folder / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        add_bomb(archive, "model.safetensors")
    return folder / "model.zip"


@attack("not a readable zip file")
def zip_on_several_disks(folder: Path, marker: Path) -> Path:
    end64 = struct.pack("<4sLQL", b"PK\x06\x07", 7, 0, 9)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (folder / "model.pt").write_bytes(b"PK\x03\x04" + bytes(60) + end64 + end)
    return folder / "model.pt"
