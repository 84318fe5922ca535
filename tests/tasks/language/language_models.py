"""A small language model in a folder, with its tokenizer and chat template."""

from pathlib import Path

import torch
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
