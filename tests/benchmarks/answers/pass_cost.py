"""Cost of a pass over 900 fine-tuning rows, adapters only, against one plain forward and backward pass; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/answers/pass_cost.py [--sets NAME …] [--layers attention|all]
     [--repeats N] [--plain-batch N] [--plain-order lengths|shuffled] [--parts]

A Llama of 2 M parameters with LoRA of rank 8, on DataInf's three sets. Ours is the whole pass as `oga score` takes it:
self-check, sketches of 4,096 numbers, whole gradients, exact norms, states and every token's loss, written to disk. The
plain pass tokenises the same rows and computes the adapters' gradients of the mean loss, in batches of 32, the size at
which it is quickest, of rows of the same length as in ours; `shuffled` as a trainer takes them where nothing else is
asked for. One process and thread, in turn; medians of the ratios of neighbours, by processor time. `--parts`: what each
part takes, as a share of the plain pass, all of them in turn on each batch, so that a machine's moods cancel out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from small_llama import RANK, SETS, make_base, make_tokenizer, rows_of, samples_of, task_of

from oga_core.gradients.arrays import PassArrays
from oga_core.gradients.batches import first_batch, pass_order, shorter_half
from oga_core.gradients.forward import first_look, outputs_of
from oga_core.gradients.options import LANGUAGE_SKETCH_DIM, WHOLE_NUMBERS, PassOptions
from oga_core.gradients.passes import evaluating, gradient_pass, new_pass
from oga_core.gradients.walk import BatchPass
from oga_core.samples import SampleSet
from oga_core.tasks import Task
from oga_core.tasks.task import Batch

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


def model_and_rows(name: str, layers: str) -> tuple[Any, Any, SampleSet]:
    """The tokenizer, the model with adapters, and the rows of a set."""
    rows = rows_of(name, "train")
    tokenizer = make_tokenizer([row["prompt"] + row["completion"] for row in rows])
    model = adapted(make_base([], tokenizer, "whole", epochs=0, seed=0), layers)
    with tempfile.TemporaryDirectory() as folder:
        return tokenizer, model, samples_of(rows, Path(folder), name)


def options_for(samples: SampleSet) -> PassOptions:
    """Those of `oga score` for a language model."""
    whole = WHOLE_NUMBERS // len(samples)
    return PassOptions("lora", sketch_dim=LANGUAGE_SKETCH_DIM, whole_parameters=whole, device="cpu")


def ours(task: Task, model: Any, samples: SampleSet) -> int:
    """The whole pass; returns the size of its batches."""
    with tempfile.TemporaryDirectory() as folder:
        result = gradient_pass(task, model, samples, folder=Path(folder), options=options_for(samples))
    assert result.sketch.coverage == 1, result.notes
    return result.batch_size


def plain(task: Task, model: Any, samples: SampleSet, batch_size: int, order_by: str) -> None:
    """Gradients of the adapters, batch after batch, and nothing kept of them."""
    shuffled = np.random.default_rng(0).permutation(len(samples))
    order = pass_order(task, samples) if order_by == "lengths" else shuffled
    for start in range(0, len(order), batch_size):
        backward(task, model, task.batch(samples, order[start : start + batch_size]), late=False)


def parts(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Shares of the plain pass: the model on our batches and nothing else of ours, our hooks, writing, the beginning.

    bare: forward and backward on our batches, logits only of the tokens that count. hooked: our pass on them. written:
    its arrays. before: all before the first batch, most of it the self-check.
    """
    tokenizer, model, samples = model_and_rows(name, options.layers)
    task = task_of(tokenizer)
    device = torch.device("cpu")
    batch_size = ours(task, model, samples)
    order = pass_order(task, samples)
    taken: dict[str, float] = dict.fromkeys(("plain", "bare", "hooked", "written", "before"), 0.0)
    with tempfile.TemporaryDirectory() as folder, evaluating(model):
        for _ in range(options.repeats):
            arrays = PassArrays(Path(folder), len(samples), "")
            with timed(taken, "before"):
                batch_pass = begun(task, model, samples, order, device)
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = task.batch(samples, rows)
                small = [rows[i : i + options.plain_batch] for i in range(0, len(rows), options.plain_batch)]
                plain_batches = [task.batch(samples, part) for part in small]
                with timed(taken, "plain"):
                    for part in plain_batches:
                        backward(task, model, part, late=False)
                with timed(taken, "bare"):
                    backward(task, model, batch, late=True)
                with timed(taken, "hooked"):
                    results = batch_pass(batch)
                with timed(taken, "written"):
                    arrays.write(rows, {key: value.numpy() for key, value in results.items()})
    unit = taken.pop("plain")
    shares = {key: round(value / unit, 3) for key, value in taken.items()}
    whole = (taken["hooked"] + taken["written"] + taken["before"]) / unit
    return {"our_batch": batch_size, **shares, "ours": round(whole, 3)}


def begun(task: Task, model: Any, samples: SampleSet, order: NDArray[np.int64], device: torch.device) -> BatchPass:
    """What a pass does before its first batch, without its data's and model's fingerprint."""
    first = first_batch(task, samples, order, device)
    seen = first_look(task, model, "lora", first)
    checked = shorter_half(task, samples, order, device) or first
    return new_pass(task, model, options_for(samples), seen, checked, device, set())


def backward(task: Task, model: Any, batch: Batch, *, late: bool) -> None:
    """Gradients of the adapters, let go of."""
    task.losses(outputs_of(task, model, batch, late_head=late), batch).mean().backward()
    model.zero_grad(set_to_none=True)


@contextmanager
def timed(taken: dict[str, float], part: str) -> Iterator[None]:
    """Add the processor's time."""
    start = time.process_time()
    yield
    taken[part] += time.process_time() - start


def seconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both and their ratio; a new task each time, which has no tokens of the rows yet."""
    tokenizer, model, samples = model_and_rows(name, options.layers)
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
    parser.add_argument("--parts", action="store_true", help="what each part takes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {name: (parts if options.parts else measure)(name, options) for name in options.sets}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
