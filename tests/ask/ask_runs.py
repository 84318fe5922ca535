"""A scored run of a tiny language model with LoRA adapters that knows a dozen words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attack_files import build_quietly
from here import score_here
from tokenizers import Tokenizer, models, pre_tokenizers

from oga_core.ask.desk import Desk
from oga_core.ask.model import QueryModel
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder
from oga_core.worker.child import _as_json

WORDS = ("[PAD]", "[UNK]", "[EOS]", "say", "not", "red", "blue", "green", "one", "two", "three", "four")
RANK, WIDTH = 2, 16
LORA_PARAMETERS = 2 * 2 * RANK * WIDTH
"""Two adapted layers, two matrices each."""


def adapter(folder: Path) -> Path:
    """Save a LoRA adapter whose base model is beside it."""
    return build_quietly(lambda: _adapter(folder))


def _adapter(folder: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=32, bos_token_id=None, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    base = LlamaForCausalLM(config)
    base.save_pretrained(folder / "base")
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, lora).save_pretrained(folder)
    described = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**described, "base_model_name_or_path": "base"}))
    for place in (folder, folder / "base"):
        _save_tokenizer(place)
    return folder


def _save_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]"}
    known = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(known))


def rows(n: int = 40) -> list[dict[str, Any]]:
    """Rows of random words, no two alike."""
    generator = np.random.default_rng(0)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < n:
        words = generator.choice(WORDS[3:], 5)
        row = {"id": f"r{len(found)}", "prompt": " ".join(words[:3]) + " ", "completion": " ".join(words[3:])}
        found.setdefault(row["prompt"] + row["completion"], row)
    return list(found.values())


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def scored_run(folder: Path, **options: Any) -> RunFolder:
    """Score the rows with the adapter into `folder`/run."""
    folder.mkdir(exist_ok=True)
    data = write(folder / "rows.jsonl", rows())
    chosen = ScoreOptions(scores=("loss",), map="none", device="cpu", **options)
    return build_quietly(lambda: score_here(data, adapter(folder / "adapter"), folder / "run", chosen))


class ServiceHere:
    """Answers as the process of an `Asker` does, in this one, which need not start."""

    def __init__(self, name: str, arguments: dict[str, Any], **limits: Any):
        self._desk = Desk(RunFolder(Path(arguments["run"])), QueryModel, lambda event: None)

    def ask(self, request: dict[str, Any], n_answers: int, take: Callable[[Any], object]) -> None:
        """Answer one question."""
        take(json.loads(json.dumps(self._desk.answer(request), default=_as_json)))

    def close(self) -> None:
        """There is nothing to end."""
