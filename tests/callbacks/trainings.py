"""Small trainings that end in a scored run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset
from transformers import LlamaConfig, LlamaForCausalLM, TrainingArguments

N, N_CLASSES, EPOCHS = 120, 3, 6
IGNORED = -100
WRONG = np.arange(N) % 10 == 0


def blobs() -> TensorDataset:
    """Three Gaussians with a tenth of the labels wrong."""
    torch.manual_seed(0)
    truth = torch.arange(N) % N_CLASSES
    x = torch.randn(N, 6) + 4 * F.one_hot(truth, 6)
    return TensorDataset(x, torch.where(torch.from_numpy(WRONG), (truth + 1) % N_CLASSES, truth))


def sums() -> list[dict[str, list[int]]]:
    """Tokens of `a + b = c`, of which only the answer is trained on; a tenth of the answers is wrong."""
    rng = np.random.default_rng(0)
    rows = []
    for wrong in WRONG:
        a, b = (int(number) for number in rng.integers(0, 4, 2))
        answer = (a + b + 3 * int(wrong)) % 10
        rows.append({"input_ids": [a, 10, b, 11, answer], "labels": [*[IGNORED] * 4, answer]})
    return rows


def arguments(folder: Path, **changes: object) -> TrainingArguments:
    """Six quiet epochs on the CPU."""
    settings = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": 30, "learning_rate": 1e-2, "seed": 0}
    quiet = {"report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    return TrainingArguments(output_dir=str(folder / "trainer"), **settings, **quiet, **changes)


def language_model() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=12, max_position_embeddings=8, tie_word_embeddings=True, **sizes))
