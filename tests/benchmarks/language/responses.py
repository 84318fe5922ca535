"""How well scores find bad responses among the rows that a language model was trained on; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/language/responses.py [--sets NAME,…] [--kinds NAME,…]
     [--shares 0.1,0.02] [--epochs N,…] [--seeds N] [--first-seed N] [--lora] [--scores NAME,…]

No pretrained model: a small Llama with a tokenizer of its own learns the noisy rows, for a few epochs or for so many
that it memorises them; with `--lora`, adapters learn the responses after the whole model has learnt the texts. A
condition is a set, a kind and a share of bad responses (`rows.py`) and a number of epochs. Per condition:
average precision of every score, and of as many flagged rows as are bad, how often healthy rows of the group flagged
most are among them, against all rows, and how often that is so where as many healthy rows are flagged at random.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rows import KINDS, SETS, Row, planted

from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.scores import SCORES, compute_scores
from oga_core.tasks import Task, task_for

VOCABULARY, WIDTH, LAYERS, HEADS = 800, 96, 2, 4
BATCH, RATE, LORA_RATE = 16, 2e-3, 4e-3
FEW, MANY = 6, 16
"""Epochs: after so few the model has learnt what most rows have in common, after so many the bad rows too."""
LORA_EPOCHS = 3
RIVALS = ("loss", "instruction_difficulty", "l2_norm_sketch")
DRAWS = 100_000
"""Of healthy rows at random: a probability of 0.003, five per cent over sixteen conditions, is off by 0.0002."""
LARGEST_RATIO, LEVEL = 2.0, 0.05
"""How many times its share a healthy group may be flagged, and the probability below which that is no chance."""

Floats = NDArray[np.floating[Any]]


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


def make_model(vocabulary: int, seed: int) -> torch.nn.Module:
    """A small Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            max_position_embeddings=512,
            use_cache=False,
        )
    )


def read(rows: list[Row], folder: Path) -> SampleSet:
    """The rows as a data set that was read from a file."""
    path = folder / "rows.jsonl"
    lines = [json.dumps({"prompt": row.prompt, "completion": row.completion, "group": row.group}) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_samples(path)


def fit(model: torch.nn.Module, task: Task, samples: SampleSet, epochs: int, rate: float, seed: int) -> float:
    """Train on the responses; return the mean loss of the last epoch."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    steps = epochs * -(-len(samples) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(epochs):
        order = rng.permutation(len(samples))
        losses = []
        for start in range(0, len(order), BATCH):
            batch = task.batch(samples, order[start : start + BATCH])
            loss = task.losses(task.outputs(model, batch), batch).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    model.eval()
    return float(np.mean(losses))


def with_adapters(model: torch.nn.Module) -> torch.nn.Module:
    """The model with LoRA adapters of rank 8, which alone learn from here on."""
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted: torch.nn.Module = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets))
    return adapted


def trained(rows: list[Row], epochs: int, seed: int, lora: bool, folder: Path) -> tuple[GradientSketch, dict[str, Any]]:
    """The pass over the rows under a model that has learnt them, and what that cost."""
    start = time.process_time()
    tokenizer = make_tokenizer([row.text for row in rows])
    task = task_for(ModelCard("causal_lm", (), {"max_length": 256}), tokenizer)
    samples = read(rows, folder)
    model = make_model(len(tokenizer), seed)
    loss = fit(model, task, samples, LORA_EPOCHS if lora else epochs, RATE, seed)
    if lora:
        model = with_adapters(model)
        loss = fit(model, task, samples, epochs, LORA_RATE, seed)
    trained_in = time.process_time() - start
    options = PassOptions(parameters="lora" if lora else "all", device="cpu", without_prompt=True)
    result = gradient_pass(task, model, samples, folder=folder / "arrays", options=options)
    facts = {
        "training_loss": round(loss, 3),
        "training_cpu_seconds": round(trained_in, 1),
        "pass_cpu_seconds": round(time.process_time() - start - trained_in, 1),
    }
    return result.sketch.take(np.arange(len(samples))), facts


def condition(
    name: str, kind: str, share: float, epochs: int, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One condition: the facts and the average precision of each score."""
    from sklearn.metrics import average_precision_score

    rows, bad = planted(SETS[name](), kind, share, seed)
    own = f"{name}-{kind}-{share}-{epochs}-{seed}{'-lora' if options.lora else ''}.npz"
    archive = options.keep / own if options.keep else None
    if archive is not None and archive.exists():
        sketch, facts = read_kept(archive)
    else:
        with tempfile.TemporaryDirectory() as folder:
            sketch, facts = trained(rows, epochs, seed, options.lora, Path(folder))
        if archive is not None:
            keep(sketch, facts, archive)
    names = options.scores or [key for key, score in SCORES.items() if score.by_default]
    scores, _ = compute_scores(sketch, [key for key in names if not _missing(key, sketch)], seed=seed)
    groups = np.array([row.group for row in rows])
    worst = {key: worst_group(value, bad, groups) for key, value in scores.items()}
    return {
        **facts,
        "bad": int(bad.sum()),
        "ap": {key: round(float(average_precision_score(bad, value)), 4) for key, value in scores.items()},
        "worst_group": {key: round(ratio, 2) for key, (ratio, _) in worst.items()},
        "worst_group_by_chance": {key: round(chance, 5) for key, (_, chance) in worst.items()},
    }


def keep(sketch: GradientSketch, facts: dict[str, Any], path: Path) -> None:
    """Write the arrays of a condition and what they cost, for scoring them again without training again."""
    arrays = {name: value for name, value in vars(sketch).items() if isinstance(value, np.ndarray)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
    path.with_suffix(".part").replace(path)


def read_kept(path: Path) -> tuple[GradientSketch, dict[str, Any]]:
    """The arrays and facts that `keep` wrote."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    facts: dict[str, Any] = json.loads(str(arrays.pop("facts")))
    return GradientSketch(**arrays), facts


def _missing(name: str, sketch: GradientSketch) -> bool:
    return any(getattr(sketch, need, None) is None for need in SCORES[name].needs)


def worst_group(score: Floats, bad: NDArray[np.bool_], groups: NDArray[np.str_]) -> tuple[float, float]:
    """Largest share of a group's healthy rows that is flagged, over that of all rows, as many flagged as are bad.

    With the probability of one as large where as many healthy rows are drawn at random, by `DRAWS` seeded draws.
    """
    flagged = np.zeros(len(score), dtype=bool)
    flagged[np.argsort(-score, kind="stable")[: int(bad.sum())]] = True
    _, group, healthy = np.unique(groups[~bad], return_inverse=True, return_counts=True)
    largest = np.max(np.bincount(group, flagged[~bad], len(healthy)) / healthy)
    wrong = int((flagged & ~bad).sum())
    drawn = np.random.default_rng(0).multivariate_hypergeometric(healthy, wrong, DRAWS)
    chance = np.mean(np.max(drawn / healthy, axis=1) >= largest)
    return float(largest / max(flagged.mean(), 1e-9)), float(chance)


def summary(conditions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean average precision of each score, best first, and how `oga` stands to the best of the three plain rivals."""
    aps = [each["ap"] for each in conditions.values()]
    names = set.intersection(*(set(ap) for ap in aps))
    means = {name: round(float(np.mean([ap[name] for ap in aps])), 4) for name in names}
    result: dict[str, Any] = {"mean_ap": dict(sorted(means.items(), key=lambda item: -item[1]))}
    if {"oga", *RIVALS} <= names:
        leads = [ap["oga"] - max(ap[name] for name in RIVALS) for ap in aps]
        result |= {
            "oga_ahead_of_best_rival": round(float(np.mean(leads)), 4),
            "least_ahead": round(min(leads), 4),
            **groups_of_oga(list(conditions.values())),
        }
    return result


def groups_of_oga(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """How often `oga` flags a healthy group over twice its share, and whether that is chance.

    One condition's probability is compared with `LEVEL` over their number; all together by Fisher's method, which a
    condition without a wrong flag leaves out.
    """
    from scipy.stats import combine_pvalues

    ratios = [each["worst_group"]["oga"] for each in conditions]
    chances = [each["worst_group_by_chance"]["oga"] for each in conditions]
    over = [chance for ratio, chance in zip(ratios, chances, strict=True) if ratio > LARGEST_RATIO]
    probabilities = [max(chance, 1 / DRAWS) for ratio, chance in zip(ratios, chances, strict=True) if ratio > 0]
    return {
        "worst_group": max(ratios),
        "groups_over_twice": len(over),
        "of_them_beyond_chance": sum(chance < LEVEL / len(conditions) for chance in over),
        "all_groups_by_chance": float(f"{combine_pvalues(probabilities).pvalue:.1e}") if probabilities else 1.0,
    }


def main() -> None:
    """Run the conditions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--kinds", default=",".join((*KINDS, "mixed")))
    parser.add_argument("--shares", default="0.1,0.02")
    parser.add_argument("--epochs", default=f"{FEW},{MANY}")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--lora", action="store_true", help="adapters of rank 8 in place of the whole model")
    parser.add_argument("--scores", type=lambda text: text.split(","))
    parser.add_argument(
        "--keep", type=Path, help="a folder for the arrays of each condition; those there are not trained again"
    )
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    choices = [options.sets.split(","), options.kinds.split(","), options.shares.split(","), options.epochs.split(",")]
    results = {}
    for name, kind, share, epochs, seed in product(*choices, seeds):
        key = f"{name} {kind} {share} epochs={epochs} seed={seed}"
        results[key] = condition(name, kind, float(share), int(epochs), seed, options)
        print(f"{key}: {results[key]}", file=sys.stderr)
    by_share = {share: {key: each for key, each in results.items() if f" {share} " in key} for share in choices[2]}
    print(json.dumps({"conditions": results, **{share: summary(each) for share, each in by_share.items()}}, indent=1))


if __name__ == "__main__":
    main()
