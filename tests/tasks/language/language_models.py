"""A small language model in a folder, with its tokenizer and chat template."""

import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers_of_language import UNMARKED, byte_level
from transformers import LlamaConfig, LlamaForCausalLM


def llama_folder(folder: Path, max_length: int = 64) -> Path:
    """A Llama of one layer with random weights, saved as transformers does."""
    torch.manual_seed(0)
    tokenizer = byte_level(UNMARKED, bos=True)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=max_length, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapter_folder(folder: Path) -> Path:
    """A LoRA adapter that was trained, as PEFT saves it, with its base model in the subfolder `base`."""
    base = llama_folder(folder / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, about what PEFT calls in it
        model = get_peft_model(LlamaForCausalLM.from_pretrained(base), LoraConfig(r=2, task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter.data, std=0.3)
    model.save_pretrained(folder)
    return folder
