"""A small language model for benchmarks: a Llama of 2 M parameters with LoRA adapters, made on the CPU in a minute."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.gradients.forward import outputs_of
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "llm"
SETS = ("grammars", "math_with_reason", "math_without_reason")
"""As in DataInf's paper; the last is the second with the answer alone as its response."""
VOCABULARY, LENGTH = 1000, 96
SIZES = {"small": (96, 3), "whole": (192, 4)}
"""Width and layers: of 0.4 M and 2 M parameters."""
BATCH = 16
RATE = 2e-3  # of both trainings: the highest at which neither diverges
RANK = 8

Rows = list[dict[str, str]]


def rows_of(name: str, part: str) -> Rows:
    """The rows of one set."""
    stem = name.replace("without", "with")
    rows: Rows = [json.loads(line) for line in (DATA / f"{stem}_{part}.jsonl").read_text().splitlines()]
    if stem == name:
        return rows
    return [{**row, "completion": row["completion"].split()[-1]} for row in rows]


def samples_of(rows: Rows, folder: Path, name: str) -> SampleSet:
    """The rows as the product reads them."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_samples(path, modality="causal_lm")


def make_tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<pad>", "<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


def make_base(texts: Sequence[str], tokenizer: Any, size: str, *, epochs: int, seed: int) -> Any:
    """A Llama that has learnt to continue the texts."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    width, layers = SIZES[size]
    sizes = {"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": layers}
    config = LlamaConfig(
        vocab_size=VOCABULARY, num_attention_heads=4, max_position_embeddings=512, tie_word_embeddings=True,
        use_cache=False, pad_token_id=0, eos_token_id=1, bos_token_id=None, **sizes,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for part in np.array_split(order.permutation(len(texts)), len(texts) // BATCH + 1):
            chosen = [texts[i] for i in part]
            tokens = tokenizer(chosen, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
            labels = tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, -100)
            model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model


def with_adapter(base: Any, seed: int) -> Any:
    """The base with new LoRA adapters, and nothing else to train."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return get_peft_model(base, config)


def task_of(tokenizer: Any) -> Task:
    """The task that prepares rows for the model."""
    return task_for(ModelCard("causal_lm", (), {"max_length": 256}), tokenizer)


def tune(
    model: Any,
    task: Task,
    samples: SampleSet,
    *,
    epochs: int,
    seed: int,
    without: NDArray[np.int64] | None = None,
) -> None:
    """Train the adapters on the responses; rows `without` count for nothing, and all else stays as it was with them."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    order = np.random.default_rng(seed)
    counted = np.ones(len(samples), dtype=np.float32)
    counted[[] if without is None else without] = 0
    model.train()
    for _ in range(epochs):
        for part in np.array_split(order.permutation(len(samples)), len(samples) // BATCH + 1):
            batch = task.batch(samples, part)
            losses = task.losses(outputs_of(task, model, batch, late_head=True), batch)
            (losses * torch.from_numpy(counted[part])).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()


@torch.no_grad()
def losses_of(model: Any, task: Task, samples: SampleSet) -> NDArray[np.float64]:
    """Mean loss over each response, `(n_samples,)`."""
    parts = np.array_split(np.arange(len(samples)), len(samples) // 50 + 1)
    found = []
    for part in parts:
        batch = task.batch(samples, part)
        found.append(task.losses(task.outputs(model, batch), batch).double().numpy())
    return np.concatenate(found)


def save(model: Any, tokenizer: Any, folder: Path) -> Path:
    """Write adapter and base as a person would, and return the adapter's folder."""
    model.save_pretrained(folder)
    model.unload().save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder)
    described = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**described, "base_model_name_or_path": "base"}))
    return folder
