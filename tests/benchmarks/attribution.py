"""Which training rows does a language model's answer rest on? Finds, for test rows, training rows of their own group.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/attribution.py [--set grammars|math_with_reason] [--seed N] [--train N]

No pretrained model: a small Llama with a tokenizer of its own learns both sets' texts, then LoRA adapters are tuned on
the set's responses; both on the CPU in minutes. Influence comes from the product's sketches of the adapters' gradients.
Prints JSON: for each method the mean over the test rows of the AUC of own group against the others, and the share of
own group among the top tenth, as in DataInf (Kwon et al. 2024, arXiv 2310.00902). Shared words of the prompts are the
baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("grammars", "math_with_reason")
VOCABULARY, WIDTH, LAYERS = 800, 128, 3
DAMPING = 0.1

Floats = NDArray[np.float32]


def rows_of(name: str, part: str) -> list[dict[str, str]]:
    """The rows of one JSONL file."""
    return [json.loads(line) for line in (DATA / "llm" / f"{name}_{part}.jsonl").read_text().splitlines()]


def make_tokenizer(texts: list[str]) -> Any:
    """A byte-level BPE trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<pad>", "<eos>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


def make_model(seed: int) -> torch.nn.Module:
    """A small Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=512,
            use_cache=False,
        )
    )


def pretrain(model: torch.nn.Module, tokenizer: Any, texts: list[str], epochs: int, seed: int) -> None:
    """Learn to continue the texts."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        for part in np.array_split(rng.permutation(len(texts)), len(texts) // 16 + 1):
            tokens = tokenizer(
                [texts[i] for i in part], padding=True, truncation=True, max_length=160, return_tensors="pt"
            )
            labels = tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, -100)
            loss = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"pretraining epoch {epoch + 1}: loss {loss.item():.2f}", file=sys.stderr)


def tune(model: torch.nn.Module, task: Task, samples: SampleSet, epochs: int, seed: int) -> None:
    """Train the adapters on the responses."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        for part in np.array_split(rng.permutation(len(samples)), len(samples) // 16 + 1):
            batch = task.batch(samples, part)
            loss = task.losses(task.outputs(model, batch), batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"tuning epoch {epoch + 1}: loss {loss.item():.2f}", file=sys.stderr)


def sketch_of(model: torch.nn.Module, task: Task, samples: SampleSet) -> GradientSketch:
    """Sketched gradients of the adapters."""
    with tempfile.TemporaryDirectory() as folder:
        options = PassOptions(parameters="lora", sketch_dim=1024, device="cpu", exact_l2=False)
        result = gradient_pass(task, model.eval(), samples, folder=Path(folder), options=options)
        return result.sketch.take(np.arange(len(samples)))


def influences(training: Floats, test: Floats) -> dict[str, Floats]:
    """How much each training row helps each test row, `(n_test, n_train)`, by method."""
    products = test @ training.T
    squares = (training**2).sum(axis=1)
    lengths = np.sqrt((test**2).sum(axis=1)[:, None] * squares)
    damping = DAMPING * squares.mean() / training.shape[1]
    fisher = training.T @ training / len(training)
    fisher[np.diag_indices(len(fisher))] += DAMPING * np.trace(fisher) / len(fisher)
    datainf = products - (products / (damping + squares)) @ (training @ training.T) / len(training)
    return {
        "tracin": products,
        "cosine": products / np.maximum(lengths, 1e-12),
        "datainf": datainf,
        "logra": test @ np.linalg.solve(fisher, training.T),
    }


def shared_words(training: list[str], test: list[str]) -> Floats:
    """Cosine of the counts of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer().fit(training)
    return (vectorizer.transform(test) @ vectorizer.transform(training).T).toarray()


def found(influence: Floats, same: NDArray[np.bool_]) -> dict[str, float]:
    """Mean AUC and mean precision among the top tenth."""
    from sklearn.metrics import roc_auc_score

    auc = [roc_auc_score(own, row) for own, row in zip(same, influence, strict=True)]
    top = np.argsort(-influence, axis=1)[:, : max(1, same.shape[1] // 10)]
    return {
        "auc": round(float(np.mean(auc)), 4),
        "auc_std": round(float(np.std(auc)), 4),
        "top_tenth": round(float(np.take_along_axis(same, top, axis=1).mean()), 4),
    }


def main() -> None:
    """Train, sketch, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="grammars", choices=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, help="fewer training rows")
    parser.add_argument("--epochs", type=int, default=4, help="of pretraining and of tuning")
    options = parser.parse_args()
    from peft import LoraConfig, get_peft_model

    both = [row for name in SETS for row in rows_of(name, "train")]
    texts = [row["prompt"] + row["completion"] for row in both]
    tokenizer = make_tokenizer(texts)
    model = make_model(options.seed)
    start = time.process_time()
    pretrain(model, tokenizer, texts, options.epochs, options.seed)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
    task = task_for(ModelCard("causal_lm", (), {"max_length": 256}), tokenizer)
    training = read_samples(DATA / "llm" / f"{options.set}_train.jsonl")
    if options.train:
        training = training.take(np.random.default_rng(options.seed).permutation(len(training))[: options.train])
    test = read_samples(DATA / "llm" / f"{options.set}_test.jsonl")
    tune(model, task, training, options.epochs, options.seed)
    trained = time.process_time() - start
    start = time.process_time()
    sketches = [sketch_of(model, task, samples) for samples in (training, test)]
    groups = [np.array([row["group"] for row in samples.rows]) for samples in (training, test)]
    same = groups[1][:, None] == groups[0]
    methods = influences(*(np.array(sketch.sketch, dtype=np.float32) for sketch in sketches))
    methods["shared_words"] = shared_words(*([row["prompt"] for row in samples.rows] for samples in (training, test)))
    result = {
        "set": options.set,
        "n_train": len(training),
        "n_test": len(test),
        "coverage": sketches[0].coverage,
        "check_error": sketches[0].check_error,
        "training_cpu_seconds": round(trained, 1),
        "sketch_cpu_seconds": round(time.process_time() - start, 1),
        "methods": {name: found(influence, same) for name, influence in methods.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
