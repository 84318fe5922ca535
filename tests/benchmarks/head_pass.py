"""Cost of scoring from the head against one plain forward pass over the same data, in one process, as JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/head_pass.py [--samples N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models import load_model
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
BATCH = 64


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock seconds and, less disturbed by other work on the machine, the process's CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - cpu


def plain_forward(task: Task, model: torch.nn.Module, samples: SampleSet) -> None:
    with torch.no_grad():
        for start in range(0, len(samples), BATCH):
            batch = task.batch(samples, np.arange(start, min(start + BATCH, len(samples))))
            task.losses(task.outputs(model, batch), batch)


def measure(model_path: Path, samples: SampleSet, repeats: int) -> dict[str, float]:
    loaded = load_model(model_path)
    samples = samples.with_classes(loaded.card.classes)
    task = task_for(loaded.card, loaded.tokenizer)
    model = loaded.module.eval()
    options = PassOptions(batch_size=BATCH)

    def head() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gradient_pass(task, model, samples, folder=Path(folder), options=options)

    plain_forward(task, model, samples.take(np.arange(min(len(samples), 4 * BATCH))))
    pairs = [(seconds(lambda: plain_forward(task, model, samples)), seconds(head)) for _ in range(repeats)]
    return {
        "n_samples": len(samples),
        "forward_seconds": round(statistics.median(plain[0] for plain, _ in pairs), 3),
        "head_pass_seconds": round(statistics.median(ours[0] for _, ours in pairs), 3),
        "ratio": round(statistics.median(ours[0] / plain[0] for plain, ours in pairs), 3),
        "cpu_ratio": round(statistics.median(ours[1] / plain[1] for plain, ours in pairs), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photographs = DATA / "cifar10n"
    images = read_samples(
        photographs / "images.zip", labels=photographs / "labels_aggre.csv", max_samples=options.samples
    )
    texts = read_samples(DATA / "sst2" / "train_flip20.csv", max_samples=options.samples)
    results = {
        "photographs": measure(photographs / "model_aggre.safetensors", images, options.repeats),
        "photographs pt2": measure(photographs / "model_aggre.pt2", images, options.repeats),
        "sentences": measure(DATA / "sst2" / "model_flip20", texts, options.repeats),
    }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
