"""Cost of a pass over 900 fine-tuning rows, adapters only, against one plain forward and backward pass; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/answers/pass_cost.py [--sets NAME …] [--layers attention|all]
     [--repeats N] [--plain-batch N] [--plain-order lengths|shuffled]

A Llama of 2 M parameters with LoRA of rank 8, on DataInf's three sets. Ours is the whole pass as `oga score` takes it:
self-check, sketches of 4,096 numbers, whole gradients, exact norms, states and every token's loss, written to disk. The
plain pass tokenises the same rows and computes the adapters' gradients of the mean loss, in batches of 32, the size at
which it is quickest, of rows of the same length as in ours; `shuffled` as a trainer takes them where nothing else is
asked for. One process and thread, in turn; medians of the ratios of neighbours, by processor time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_llama import RANK, SETS, make_base, make_tokenizer, rows_of, samples_of, task_of

from oga_core.gradients.batches import pass_order
from oga_core.gradients.options import LANGUAGE_SKETCH_DIM, WHOLE_NUMBERS, PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet
from oga_core.tasks import Task

ATTENTION = ("q_proj", "v_proj")
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PLAIN_BATCH = 32
LAYERS = {"attention": ATTENTION, "all": ALL}


def adapted(base: Any, layers: str) -> Any:
    """The base with adapters whose gradients are not zero, as they are before any step."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(LAYERS[layers]), task_type="CAUSAL_LM")
    model = get_peft_model(base, config).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return model


def ours(task: Task, model: Any, samples: SampleSet) -> int:
    """The whole pass; returns the size of its batches."""
    whole = WHOLE_NUMBERS // len(samples)
    options = PassOptions("lora", sketch_dim=LANGUAGE_SKETCH_DIM, whole_parameters=whole, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        result = gradient_pass(task, model, samples, folder=Path(folder), options=options)
    assert result.sketch.coverage == 1, result.notes
    return result.batch_size


def plain(task: Task, model: Any, samples: SampleSet, batch_size: int, order_by: str) -> None:
    """Gradients of the adapters, batch after batch, and nothing kept of them."""
    shuffled = np.random.default_rng(0).permutation(len(samples))
    order = pass_order(task, samples) if order_by == "lengths" else shuffled
    for start in range(0, len(order), batch_size):
        batch = task.batch(samples, order[start : start + batch_size])
        task.losses(task.outputs(model, batch), batch).mean().backward()
        model.zero_grad(set_to_none=True)


def seconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both and their ratio; a new task each time, which has no tokens of the rows yet."""
    rows = rows_of(name, "train")
    tokenizer = make_tokenizer([row["prompt"] + row["completion"] for row in rows])
    model = adapted(make_base([], tokenizer, "whole", epochs=0, seed=0), options.layers)
    with tempfile.TemporaryDirectory() as folder:
        samples = samples_of(rows, Path(folder), name)
    batch_size = ours(task_of(tokenizer), model, samples)
    plain_options = (options.plain_batch, options.plain_order)
    plain(task_of(tokenizer), model, samples.take(np.arange(2 * options.plain_batch)), *plain_options)
    pairs = []
    for _ in range(options.repeats):
        unit = seconds(lambda: plain(task_of(tokenizer), model, samples, *plain_options))
        pairs.append((unit, seconds(lambda: ours(task_of(tokenizer), model, samples))))
    ratios = sorted(own / unit for unit, own in pairs)
    return {
        "rows": len(samples),
        "our_batch": batch_size,
        "adapter_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "plain_seconds": round(statistics.median(unit for unit, _ in pairs), 3),
        "our_seconds": round(statistics.median(own for _, own in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--layers", default="attention", choices=list(LAYERS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain-batch", type=int, default=PLAIN_BATCH, help="rows in a batch of the plain pass")
    parser.add_argument("--plain-order", default="lengths", choices=("lengths", "shuffled"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {name: measure(name, options) for name in options.sets}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
