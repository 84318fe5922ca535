"""Attacks in PEFT adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from attack_files import Payload, attack
from attacks_huggingface import change_json, tiny_llama


def adapter(folder: Path, **changes: Any) -> Path:
    """Save a LoRA adapter of rank 2 with its base model inside."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tiny_llama(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path="base", **changes)
    return folder


@attack("weights in the pickle format")
def peft_bin(folder: Path, marker: Path) -> Path:
    adapter(folder)
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"extra": Payload(marker)}, folder / "adapter_model.bin")
    return folder


@attack("must be a list of module names")
def peft_redos(folder: Path, marker: Path) -> Path:
    return adapter(folder, target_modules="((.*)*)*x")


@attack("must be a list of module names")
def peft_redos_in_list(folder: Path, marker: Path) -> Path:
    return adapter(folder, exclude_modules=["((.*)*)*x"])


@attack("must map plain module names")
def peft_redos_in_pattern(folder: Path, marker: Path) -> Path:
    return adapter(folder, rank_pattern={"((.*)*)*x": 2})


@attack("says rank")
def peft_huge_rank(folder: Path, marker: Path) -> Path:
    return adapter(folder, r=999_999)


@attack("says rank")
def peft_huge_rank_pattern(folder: Path, marker: Path) -> Path:
    return adapter(folder, rank_pattern={"q_proj": 999_999})


@attack("missing, left over or")
def peft_missing_tensors(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    adapter(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file(dict(list(tensors.items())[1:]), folder / "adapter_model.safetensors")
    return folder


@attack("missing, left over or|does not fit its base model")
def peft_wrong_base(folder: Path, marker: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    adapter(folder)
    other = LlamaConfig(vocab_size=5, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2)
    LlamaForCausalLM(other).save_pretrained(folder / "base")
    return folder


@attack("which OGA does not support")
def peft_imports_module(folder: Path, marker: Path) -> Path:
    return adapter(folder, megatron_config={"evil": 1}, megatron_core="evil")


@attack("is not there")
def peft_absolute_base(folder: Path, marker: Path) -> Path:
    adapter(folder / "adapter")
    (folder / "adapter" / "base").rename(folder / "elsewhere")
    change_json(folder / "adapter" / "adapter_config.json", base_model_name_or_path=str(folder / "elsewhere" / ".."))
    return folder / "adapter"
